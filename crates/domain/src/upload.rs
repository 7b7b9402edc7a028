//! Files that come in parts: what an upload is bound to, and whether its parts make the file.

use crate::{
    artifact_path::ArtifactPath,
    artifact_root::ArtifactRoot,
    digest::Digest,
    error::Error,
    id::{UploadId, UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The most parts of a file, as of object stores.
pub const MAX_PARTS: u32 = 10_000;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    /// Takes parts.
    Open,
    /// The file is there.
    Completed,
    /// Given up.
    Aborted,
}

impl UploadState {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Aborted => "aborted",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Completed, Self::Aborted].into_iter().find(|state| state.as_str() == name)
    }
}

/// A file that comes in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub id: UploadId,
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Who began it.
    pub user_id: UserId,
    /// Whose file it will be.
    pub root: ArtifactRoot,
    /// Which file there.
    pub path: ArtifactPath,
    /// In how many parts it comes.
    pub parts: u32,
    /// How far it is.
    pub state: UploadState,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A part that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// Its place in the file, from 1.
    pub number: u32,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
}

impl UploadPart {
    /// What the sender was told of the part, and tells us when all are there.
    #[must_use]
    pub fn etag(digest: &Digest) -> String {
        format!("\"{}\"", digest.hex())
    }
}

/// A part as the sender knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// Its place in the file, from 1.
    pub number: i64,
    /// What the answer to it said.
    pub etag: String,
}

/// Whether the parts that the sender names are those that are there, and all of them. They may be named in any order.
///
/// # Errors
/// When a part is missing, was not sent, is named twice, or was replaced by another since.
pub fn check_parts(parts: u32, stored: &[UploadPart], sent: &[SentPart]) -> Result<(), Error> {
    let wrong = |message: String| Err(Error::invalid_field("parts", message));
    let mut named: BTreeMap<i64, &str> = BTreeMap::new();
    for part in sent {
        if part.number < 1 || part.number > i64::from(parts) {
            return wrong(format!("The upload has the parts 1 to {parts}, and no part {}.", part.number));
        }
        if named.insert(part.number, part.etag.trim().trim_matches('"')).is_some() {
            return wrong(format!("Part {} is named twice.", part.number));
        }
    }
    let stored: BTreeMap<u32, &UploadPart> = stored.iter().map(|part| (part.number, part)).collect();
    for number in 1..=parts {
        let Some(etag) = named.get(&i64::from(number)) else {
            return wrong(format!("Part {number} of {parts} is not named; name all of them."));
        };
        match stored.get(&number) {
            None => return wrong(format!("Part {number} of {parts} has not arrived; send it, and complete then.")),
            Some(part) if part.digest.hex() != *etag => {
                return wrong(format!(
                    "Part {number} is not the one that has this ETag; send it again, and complete then."
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The name of the file that a client uploads, which may tell its whole path on the client's machine.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::blake3([byte; 32])
    }

    fn stored(numbers: &[u32]) -> Vec<UploadPart> {
        numbers.iter().map(|number| UploadPart { number: *number, digest: digest(*number as u8), size: 1 }).collect()
    }

    fn sent(numbers: &[i64]) -> Vec<SentPart> {
        let etag = |number: &i64| UploadPart::etag(&digest(*number as u8));
        numbers.iter().map(|number| SentPart { number: *number, etag: etag(number) }).collect()
    }

    #[test]
    fn parts_are_named_in_any_order() {
        assert_eq!(check_parts(3, &stored(&[2, 1, 3]), &sent(&[3, 1, 2])), Ok(()));
        let mut bare = sent(&[1]);
        bare[0].etag = digest(1).hex().to_owned();
        assert_eq!(check_parts(1, &stored(&[1]), &bare), Ok(()));
    }

    #[test]
    fn a_file_with_a_hole_is_no_file() {
        for (there, named, told) in [
            (&[1, 3][..], &[1, 2, 3][..], "Part 2 of 3 has not arrived"),
            (&[1, 2, 3], &[1, 3], "Part 2 of 3 is not named"),
            (&[1, 2, 3], &[1, 2, 3, 3], "Part 3 is named twice"),
            (&[1, 2, 3], &[1, 2, 3, 4], "no part 4"),
            (&[1, 2, 3], &[0, 1, 2, 3], "no part 0"),
            (&[1, 2, 3], &[], "Part 1 of 3 is not named"),
        ] {
            let error = check_parts(3, &stored(there), &sent(named)).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }

    #[test]
    fn a_part_that_was_replaced_is_not_the_one_that_was_sent() {
        let mut other = stored(&[1, 2]);
        other[1].digest = digest(9);
        let error = check_parts(2, &other, &sent(&[1, 2])).unwrap_err();
        assert!(error.message.contains("Part 2 is not the one"), "{error}");
    }

    #[test]
    fn a_file_is_called_as_on_the_clients_machine_without_its_folders() {
        assert_eq!(file_name("/home/ada/model.bin"), "model.bin");
        assert_eq!(file_name("C:\\data\\model.bin"), "model.bin");
        assert_eq!(file_name("model.bin"), "model.bin");
        assert_eq!(file_name("x/.."), "..");
        assert_eq!(file_name("x/"), "");
    }
}
