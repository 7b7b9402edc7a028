//! Looks through an ONNX file before the engine does, for what the engine would do and we must not let it: open files. A
//! tensor may say that its values lie in another file, and the engine would look for that below the working directory.
//!
//! Only as much of the format is known here as leads to every tensor: field numbers are those of `onnx.proto3`.

use crate::error::{Error, NOT_ONNX};
use std::collections::BTreeSet;

/// Messages nest no deeper than this in any real model: three levels for each subgraph.
const MAX_DEPTH: usize = 96;

/// How deep the weights of the model's graph lie, below the model and the graph. The engine takes only these from memory.
const WEIGHTS_DEPTH: usize = 2;

/// Checks that the bytes look like an ONNX model, and returns the names of the files beside it in which it keeps weights.
pub(crate) fn files_beside(bytes: &[u8]) -> Result<BTreeSet<String>, Error> {
    let mut found = Found::default();
    walk(Message::Model, bytes, 0, &mut found).map_err(|problem| {
        Error::Model(match problem {
            Problem::Malformed => NOT_ONNX.to_owned(),
            Problem::FileInside => {
                "The model keeps constants of its operators in other files; save it as one file (save_as_external_data=False).".to_owned()
            }
        })
    })?;
    if found.graphs == 0 { Err(Error::Model(NOT_ONNX.to_owned())) } else { Ok(found.files) }
}

#[derive(Default)]
struct Found {
    graphs: usize,
    files: BTreeSet<String>,
}

enum Problem {
    Malformed,
    /// A tensor somewhere inside the graph is in another file.
    FileInside,
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
    /// A key and a value that say where a tensor's values are.
    Place,
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
            (Self::Tensor, 13) => Self::Place,
            _ => return None,
        })
    }
}

fn walk(message: Message, mut bytes: &[u8], depth: usize, found: &mut Found) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::Malformed);
    }
    if message == Message::Graph {
        found.graphs += 1;
    }
    let (mut is_location, mut value) = (false, None);
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => {
                let location = varint(&mut bytes)?;
                if (message, number) == (Message::Tensor, 14) && location != 0 && depth != WEIGHTS_DEPTH {
                    return Err(Problem::FileInside);
                }
            }
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                match message.field(number) {
                    Some(Message::Place) if depth != WEIGHTS_DEPTH => return Err(Problem::FileInside),
                    Some(inner) => walk(inner, content, depth + 1, found)?,
                    None if message == Message::Place && number == 1 => is_location = content == b"location",
                    None if message == Message::Place && number == 2 => value = Some(content),
                    None => {}
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            _ => return Err(Problem::Malformed),
        }
    }
    if let (true, Some(name)) = (is_location, value) {
        found.files.insert(std::str::from_utf8(name).map_err(|_| Problem::Malformed)?.to_owned());
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
