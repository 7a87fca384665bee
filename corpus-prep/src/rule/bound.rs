//! Bounds that can be switched off: a number, or `"off"`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A type of bounds.
pub trait Number: Serialize + Copy {
    /// What is expected, for messages.
    const EXPECTED: &'static str;

    /// A whole number as a bound.
    fn from_u64(number: u64) -> Option<Self>;

    /// A number as a bound.
    fn from_f64(number: f64) -> Option<Self>;
}

impl Number for u64 {
    const EXPECTED: &'static str = "a whole number, or \"off\"";

    fn from_u64(number: u64) -> Option<Self> {
        Some(number)
    }

    fn from_f64(_: f64) -> Option<Self> {
        None
    }
}

impl Number for f64 {
    const EXPECTED: &'static str = "a number of at least 0, or \"off\"";

    fn from_u64(number: u64) -> Option<Self> {
        Some(number as f64)
    }

    fn from_f64(number: f64) -> Option<Self> {
        (number.is_finite() && number >= 0.0).then_some(number)
    }
}

/// What a bound looks like.
pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "const": "off" }] })
}

/// Writes a bound; `None` is `"off"`.
///
/// # Errors
/// As the serializer's.
pub fn serialize<T: Number, S: Serializer>(
    bound: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bound {
        Some(number) => number.serialize(serializer),
        None => serializer.serialize_str("off"),
    }
}

/// Reads a bound.
///
/// # Errors
/// On anything but a number of the bound's type and `"off"`.
pub fn deserialize<'de, T: Number, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(BoundVisitor(PhantomData))
}

struct BoundVisitor<T>(PhantomData<T>);

impl<T: Number> Visitor<'_> for BoundVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let unexpected = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        T::from_u64(number).ok_or_else(unexpected).map(Some)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let unexpected = || E::invalid_value(serde::de::Unexpected::Float(number), &self);
        T::from_f64(number).ok_or_else(unexpected).map(Some)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        if word == "off" {
            Ok(None)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
        }
    }
}
