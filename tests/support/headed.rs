//! Documents that begin with what all documents about a store and its job have.

use std::ops::Deref;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The fields that such documents share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct JobHead {
    pub version: u32,
    pub store: String,
    pub job: String,
    pub diverged: Vec<Value>,
}

/// A document with these fields and those of `T`, and no others if `T` denies unknown fields.
#[derive(Debug)]
pub struct Headed<T> {
    pub head: JobHead,
    rest: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Headed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Headed<T>, D::Error> {
        let is_head = |name: &str| ["version", "store", "job", "diverged"].contains(&name);
        let fields = Map::<String, Value>::deserialize(from)?;
        let (head, rest): (Map<_, _>, Map<_, _>) = fields.into_iter().partition(|(name, _)| is_head(name));
        let head = serde_json::from_value(Value::Object(head)).map_err(D::Error::custom)?;
        let rest = serde_json::from_value(Value::Object(rest)).map_err(D::Error::custom)?;
        Ok(Headed { head, rest })
    }
}

impl<T> Deref for Headed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rest
    }
}
