//! JSON Schemas of the documents that commands print, derived from the types that are printed.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Makes the schema of one kind of document: `SchemaGenerator::subschema_for` of its type.
pub type Document = fn(&mut SchemaGenerator) -> Schema;

/// Returns the schema of what is like one of `documents`.
///
/// It refers to nothing and allows further fields, because a version of a document may gain some.
pub fn schema(title: &str, documents: &[Document]) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).for_serialize();
    let dialect = settings.meta_schema.clone();
    let mut generator = settings.into_generator();
    let mut schemas: Vec<Schema> = documents.iter().map(|document| document(&mut generator)).collect();
    let schema = if schemas.len() == 1 { schemas.remove(0) } else { json_schema!({ "anyOf": schemas }) };
    let mut headed = json_schema!({ "$schema": dialect, "title": title });
    for (name, value) in schema.as_object().into_iter().flatten() {
        headed.insert(name.clone(), value.clone());
    }
    headed
}
