//! What the commands do, without words: values in, values out.
