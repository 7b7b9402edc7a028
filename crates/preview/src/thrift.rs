//! As much of Thrift's compact form as it takes to look a Parquet file over before it is read.
//!
//! The reader that follows takes a file at its word: a page that says it has two gigabytes gets them, and a schema of a
//! hundred thousand levels the stack. So what a file says of itself is looked at first, and what is beyond reason is
//! refused. Format: Apache Parquet's `parquet.thrift`, and "Thrift Compact protocol encoding".

/// Deeper than this no structure of the format goes.
const DEEPEST: usize = 16;
/// The most elements of a schema.
const MOST_ELEMENTS: usize = 20_000;
/// The deepest schema.
const DEEPEST_SCHEMA: usize = 24;

const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// What says something that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Its sort: 0 data, 2 dictionary, 3 data in the second form.
    pub(crate) kind: i64,
    /// Its bytes once they are unpacked.
    pub(crate) unpacked: i64,
    /// Its bytes in the file.
    pub(crate) packed: i64,
    /// How many values it has.
    pub(crate) values: i64,
    /// How they are written.
    pub(crate) encoding: i64,
    /// How many bytes this header has.
    pub(crate) length: usize,
}

/// Reads forward through bytes; nothing is ever made of a length before the bytes for it are seen.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.bytes.get(self.at).ok_or(Broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Broken> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(Broken)?;
        self.at = end;
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    fn signed(&mut self) -> Result<i64, Broken> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// The next field of a structure: its number and type. None at the end.
    fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, Broken> {
        let byte = self.byte()?;
        if byte & 0x0f == 0 {
            return Ok(None);
        }
        *last = if byte >> 4 == 0 { self.signed()? } else { last.checked_add(i64::from(byte >> 4)).ok_or(Broken)? };
        Ok(Some((*last, byte & 0x0f)))
    }

    /// How many elements a list has, and their type.
    fn list(&mut self) -> Result<(usize, u8), Broken> {
        let byte = self.byte()?;
        let count = if byte >> 4 == 15 { self.unsigned()? } else { u64::from(byte >> 4) };
        let count = usize::try_from(count).map_err(|_| Broken)?;
        // Each has a byte at least.
        if count > self.bytes.len() - self.at { Err(Broken) } else { Ok((count, byte & 0x0f)) }
    }

    fn skip_value(&mut self, kind: u8, depth: usize) -> Result<(), Broken> {
        if depth > DEEPEST {
            return Err(Broken);
        }
        match kind {
            // A truth is in the type of its field.
            1 | 2 => Ok(()),
            BYTE => self.skip(1),
            4..=6 => self.unsigned().map(|_| ()),
            DOUBLE => self.skip(8),
            BINARY => {
                let length = usize::try_from(self.unsigned()?).map_err(|_| Broken)?;
                self.skip(length)
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    // In a list a truth has a byte of its own.
                    if matches!(kind, 1 | 2) { self.skip(1)? } else { self.skip_value(kind, depth + 1)? }
                }
                Ok(())
            }
            // None is in the format.
            MAP => Err(Broken),
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_value(kind, depth + 1)?;
                }
                Ok(())
            }
            UUID => self.skip(16),
            _ => Err(Broken),
        }
    }

    fn integer(&mut self, kind: u8) -> Result<i64, Broken> {
        if matches!(kind, 4..=6) { self.signed() } else { Err(Broken) }
    }
}

/// The header of a page at the beginning of these bytes.
pub(crate) fn page_header(bytes: &[u8]) -> Result<PageHeader, Broken> {
    let mut reader = Reader { bytes, at: 0 };
    let mut header = PageHeader { kind: -1, unpacked: -1, packed: -1, ..PageHeader::default() };
    let mut last = 0;
    while let Some((id, kind)) = reader.field(&mut last)? {
        match (id, kind) {
            (1, _) => header.kind = reader.integer(kind)?,
            (2, _) => header.unpacked = reader.integer(kind)?,
            (3, _) => header.packed = reader.integer(kind)?,
            // What is said of a data page, a dictionary, a data page in the second form.
            (5 | 7 | 8, STRUCT) => {
                let encoding = if id == 8 { 4 } else { 2 };
                let mut last = 0;
                while let Some((inner, kind)) = reader.field(&mut last)? {
                    match inner {
                        1 => header.values = reader.integer(kind)?,
                        inner if inner == encoding => header.encoding = reader.integer(kind)?,
                        _ => reader.skip_value(kind, 1)?,
                    }
                }
            }
            _ => reader.skip_value(kind, 0)?,
        }
    }
    header.length = reader.at;
    Ok(header)
}

/// Checks that a footer is whole, and its schema of an ordinary size and depth.
pub(crate) fn check_footer(bytes: &[u8]) -> Result<(), Broken> {
    let mut reader = Reader { bytes, at: 0 };
    let mut last = 0;
    while let Some((id, kind)) = reader.field(&mut last)? {
        match (id, kind) {
            (2, LIST) => check_schema(&mut reader)?,
            _ => reader.skip_value(kind, 0)?,
        }
    }
    Ok(())
}

/// A schema is a list, in which an element says how many of the following are its children.
fn check_schema(reader: &mut Reader<'_>) -> Result<(), Broken> {
    let (count, kind) = reader.list()?;
    if kind != STRUCT || count > MOST_ELEMENTS {
        return Err(Broken);
    }
    // How many children of each open element are still to come.
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..count {
        let mut children = 0;
        let mut last = 0;
        while let Some((id, kind)) = reader.field(&mut last)? {
            if id == 5 { children = reader.integer(kind)? } else { reader.skip_value(kind, 1)? }
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        while open.last().is_some_and(|left| *left <= 0) {
            open.pop();
        }
        if open.len() > DEEPEST_SCHEMA {
            return Err(Broken);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_bytes_is_refused() {
        // Field 1 of type binary, with a length of 2⁶³ − 1.
        let huge = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00];
        assert_eq!(check_footer(&huge), Err(Broken));
        // A list of 2³⁰ structures.
        let list = [0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x04, 0x00];
        assert_eq!(check_footer(&list), Err(Broken));
        assert_eq!(check_footer(&[]), Err(Broken));
    }

    #[test]
    fn a_schema_of_many_levels_is_refused() {
        let levels = |count: u8| {
            let mut bytes = vec![0x29, 0xfc, count];
            for _ in 0..count {
                // Field 5, a whole number: one child.
                bytes.extend([0x55, 0x02, 0x00]);
            }
            bytes.push(0);
            bytes
        };
        assert_eq!(check_footer(&levels(20)), Ok(()));
        assert_eq!(check_footer(&levels(100)), Err(Broken));
    }

    #[test]
    fn structures_within_structures_end_somewhere() {
        assert_eq!(check_footer(&[0x1c; 10_000]), Err(Broken));
        assert_eq!(page_header(&[0x1c; 10_000]), Err(Broken));
    }
}
