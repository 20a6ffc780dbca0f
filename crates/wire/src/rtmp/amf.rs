//! Action Message Format 0: the values of RTMP's commands (Adobe's AMF 0 specification of 2007).
//!
//! Each value is a type marker byte followed by its content; objects and arrays nest. What is read is bounded: 8 levels,
//! 1024 values, and in bytes by the message around it.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Most levels of nesting that are read; commands have two.
const MAX_DEPTH: usize = 8;
/// Most values of one message that are read, nested ones included.
const MAX_VALUES: usize = 1024;

/// Type markers (section 2.1).
const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const REFERENCE: u8 = 7;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;

/// Why bytes cannot be read as AMF 0 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AmfError {
    /// The bytes end within a value.
    #[error("AMF values break off after {len} bytes")]
    Truncated {
        /// Length of the whole, bytes.
        len: usize,
    },
    /// A type marker that AMF 0 does not have, or that commands do not use.
    #[error("AMF marker {0} stands for nothing that is known here")]
    Marker(u8),
    /// More levels or values than any command has; the text names the bounds.
    #[error("AMF values go beyond {MAX_DEPTH} levels or {MAX_VALUES} values")]
    TooMany,
}

/// A value of AMF 0 (section 2).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A 64-bit floating-point number, the only numeric type (section 2.2).
    Number(f64),
    /// A Boolean (section 2.3).
    Boolean(bool),
    /// A string in UTF-8, short or long form (sections 2.4 and 2.14).
    String(String),
    /// An object: properties in order of sending (section 2.5). An ECMA array is read as one too (section 2.10).
    Object(Vec<(String, Value)>),
    /// A strict array (section 2.12).
    Array(Vec<Value>),
    /// Null (section 2.7); undefined, dates and references are read as it.
    Null,
}

impl Value {
    /// Makes a [`Value::String`]; it is written as a long string above 65,535 bytes (section 2.14).
    pub fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    /// Makes a [`Value::Object`] whose properties are written in this order.
    pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
        Value::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text, if this is a [`Value::String`]; `None` for other types.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is a [`Value::Number`]; `None` for other types.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The value of an object's property; `None` for other values and unknown names.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(properties) => properties.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Writes values one after the other, as the body of a command or data message.
pub fn write(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| write_value(value, &mut out));
    out.freeze()
}

fn write_value(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(flag) => out.put_slice(&[BOOLEAN, u8::from(*flag)]),
        Value::String(text) if text.len() > usize::from(u16::MAX) => {
            out.put_u8(LONG_STRING);
            out.put_u32(text.len() as u32);
            out.put_slice(text.as_bytes());
        }
        Value::String(text) => {
            out.put_u8(STRING);
            write_name(text, out);
        }
        Value::Object(properties) => {
            out.put_u8(OBJECT);
            for (name, value) in properties {
                write_name(name, out);
                write_value(value, out);
            }
            out.put_slice(&[0, 0, OBJECT_END]);
        }
        Value::Array(values) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(values.len() as u32);
            values.iter().for_each(|value| write_value(value, out));
        }
        Value::Null => out.put_u8(NULL),
    }
}

fn write_name(name: &str, out: &mut BytesMut) {
    let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
    out.put_u16(name.len() as u16);
    out.put_slice(name);
}

/// Reads values until the bytes end; the twin of [`write()`].
///
/// # Errors
/// [`AmfError`].
pub fn read(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader { rest: bytes, len: bytes.len(), values: 0 };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], AmfError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(AmfError::Truncated { len: self.len })?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned number of `len` bytes.
    fn unsigned(&mut self, len: usize) -> Result<usize, AmfError> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    fn string(&mut self, len_size: usize) -> Result<String, AmfError> {
        let len = self.unsigned(len_size)?;
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(AmfError::TooMany);
        }
        Ok(match self.take(1)?[0] {
            NUMBER => {
                let mut bits = [0; 8];
                bits.copy_from_slice(self.take(8)?);
                Value::Number(f64::from_be_bytes(bits))
            }
            BOOLEAN => Value::Boolean(self.take(1)?[0] != 0),
            STRING => Value::String(self.string(2)?),
            LONG_STRING => Value::String(self.string(4)?),
            NULL | UNDEFINED => Value::Null,
            REFERENCE => self.take(2).map(|_| Value::Null)?,
            DATE => self.take(10).map(|_| Value::Null)?,
            OBJECT => self.properties(depth)?,
            ECMA_ARRAY => {
                // Its length is approximate (section 2.10): what counts is the end marker.
                self.take(4)?;
                self.properties(depth)?
            }
            STRICT_ARRAY => {
                let mut values = Vec::new();
                for _ in 0..self.unsigned(4)? {
                    values.push(self.value(depth + 1)?);
                }
                Value::Array(values)
            }
            marker => return Err(AmfError::Marker(marker)),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Value, AmfError> {
        let mut properties = Vec::new();
        loop {
            let name = self.string(2)?;
            if name.is_empty() && self.rest.first() == Some(&OBJECT_END) {
                self.take(1)?;
                return Ok(Value::Object(properties));
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_is_written_as_others_write_it() {
        let values =
            [Value::text("play"), Value::Number(4.0), Value::Null, Value::object([("a", Value::Boolean(true))])];
        let expected = b"\x02\x00\x04play\x00\x40\x10\0\0\0\0\0\0\x05\x03\x00\x01a\x01\x01\0\0\x09";
        assert_eq!(write(&values)[..], expected[..]);
        assert_eq!(read(expected), Ok(values.to_vec()));
    }

    #[test]
    fn what_others_send_reads_as_well() {
        let ecma = b"\x08\0\0\0\x07\0\x01w\0\x40\x84\0\0\0\0\0\0\0\0\x09";
        assert_eq!(read(ecma), Ok(vec![Value::object([("w", Value::Number(640.0))])]));
        assert_eq!(
            read(b"\x06\x0b\0\0\0\0\0\0\0\0\0\0\x0c\0\0\0\x01x"),
            Ok(vec![Value::Null, Value::Null, Value::text("x")])
        );
        let long = Value::String("x".repeat(70_000));
        assert_eq!(read(&write(std::slice::from_ref(&long))), Ok(vec![long]));
    }

    #[test]
    fn what_is_broken_or_endless_is_an_error() {
        assert_eq!(read(b"\x02\0\x05abc"), Err(AmfError::Truncated { len: 6 }));
        assert_eq!(read(b"\x0a\xff\xff\xff\xff"), Err(AmfError::Truncated { len: 5 }));
        assert_eq!(read(b"\x11"), Err(AmfError::Marker(17)));
        assert_eq!(read(&b"\x0a\0\0\0\x01".repeat(1000)), Err(AmfError::TooMany));
        assert_eq!(read(&[NULL; 2000]), Err(AmfError::TooMany));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(|number| Value::Number(f64::from(number))),
            any::<bool>().prop_map(Value::Boolean),
            "[a-z]{0,9}".prop_map(Value::String),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[a-z]{1,5}", inner), 0..4).prop_map(Value::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_round_trip(values in prop::collection::vec(value(), 0..5)) {
            prop_assert_eq!(read(&write(&values)), Ok(values));
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(prop_oneof![0u8..13, any::<u8>()], 0..90)) {
            let _ = read(&bytes);
        }
    }
}
