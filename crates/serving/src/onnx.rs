//! Looks through an ONNX file before the engine does, for what the engine would do and we must not let it: read other
//! files. A tensor may say that its values lie in a file, and the engine opens it below the working directory.
//!
//! Only as much of the format is known here as leads to every tensor: field numbers are those of `onnx.proto3`.

use crate::error::{Error, NOT_ONNX};

/// Subgraphs nest no deeper in any real model.
const MAX_DEPTH: usize = 32;

/// Checks that the bytes look like an ONNX model with a graph, all of whose tensors are in the file.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Error> {
    let mut graphs = 0;
    walk(Message::Model, bytes, 0, &mut graphs).map_err(|problem| {
        Error::Model(match problem {
            Problem::Malformed => NOT_ONNX.to_owned(),
            Problem::ExternalData => {
                "The model keeps weights in other files; save it as one file (onnx.save without save_as_external_data)."
                    .to_owned()
            }
        })
    })?;
    if graphs == 0 { Err(Error::Model(NOT_ONNX.to_owned())) } else { Ok(()) }
}

enum Problem {
    Malformed,
    ExternalData,
}

#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Tensor,
    SparseTensor,
}

impl Message {
    /// What the field holds, when tensors may be in it.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            _ => return None,
        })
    }
}

fn walk(message: Message, mut bytes: &[u8], depth: usize, graphs: &mut usize) -> Result<(), Problem> {
    if depth > MAX_DEPTH * 3 {
        return Err(Problem::Malformed);
    }
    if message == Message::Graph {
        *graphs += 1;
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => {
                let value = varint(&mut bytes)?;
                // data_location
                if message == Message::Tensor && number == 14 && value != 0 {
                    return Err(Problem::ExternalData);
                }
            }
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                // external_data
                if message == Message::Tensor && number == 13 {
                    return Err(Problem::ExternalData);
                }
                if let Some(inner) = message.field(number) {
                    walk(inner, content, depth + 1, graphs)?;
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            _ => return Err(Problem::Malformed),
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Problem> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let [byte] = *take(bytes, 1)? else {
            return Err(Problem::Malformed);
        };
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Problem::Malformed)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Problem> {
    let length = usize::try_from(length).map_err(|_| Problem::Malformed)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Problem::Malformed)?;
    *bytes = rest;
    Ok(taken)
}
