//! A path of a version, and what is there.

use crate::{
    Hash, SMALL,
    wire::{Malformed, Reader, Writer},
};

/// The most bytes of a path.
pub const MAX_PATH: usize = 1024;
/// The most bytes of an address, and of what else is said of something that lies elsewhere.
pub const MAX_URI: usize = 4096;

/// A path, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, its parts separated by `/`.
    pub path: String,
    /// Whether the file may be executed. Of other permissions nothing is kept.
    pub executable: bool,
    /// What is there.
    pub content: Content,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file of up to [`SMALL`] bytes: one object.
    Small {
        /// Its length in bytes. An empty file takes no object.
        size: u64,
        /// Of its bytes.
        digest: Hash,
    },
    /// A larger file: the chunks of a list.
    Large {
        /// Its length in bytes.
        size: u64,
        /// Of all its bytes. Whoever puts the file together from its chunks checks it.
        digest: Hash,
        /// The list of its chunks.
        list: Hash,
    },
    /// Something that lies elsewhere. Nobody but the user opens its address.
    External(External),
}

/// Something that lies elsewhere, and what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// Where: `s3://bucket/key`.
    pub uri: String,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// A digest of it, of whatever algorithm: `sha256:…`.
    pub digest: Option<String>,
    /// What its store calls its state.
    pub etag: Option<String>,
}

impl Entry {
    /// Its length in bytes, as far as it is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            Content::Small { size, .. } | Content::Large { size, .. } => Some(*size),
            Content::External(external) => external.size,
        }
    }

    /// The digest of the file's bytes; none for what lies elsewhere.
    #[must_use]
    pub fn digest(&self) -> Option<&Hash> {
        match &self.content {
            Content::Small { digest, .. } | Content::Large { digest, .. } => Some(digest),
            Content::External(_) => None,
        }
    }

    /// The object that it needs: the file, or the list of its chunks. An empty file and what lies elsewhere need none.
    #[must_use]
    pub fn object(&self) -> Option<Hash> {
        match &self.content {
            Content::Small { size: 0, .. } | Content::External(_) => None,
            Content::Small { digest, .. } => Some(*digest),
            Content::Large { list, .. } => Some(*list),
        }
    }

    /// Refuses what has no form in bytes.
    ///
    /// # Errors
    /// When the path or the address is none, or a size does not fit the sort of content.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |why: String| Err(Malformed::new(format!("The entry \"{}\" {why}.", self.path)));
        if let Err(rule) = check_path(&self.path) {
            let shown: String = self.path.chars().take(200).collect();
            return Err(Malformed::new(format!("The path \"{shown}\" {rule}.")));
        }
        match &self.content {
            Content::Small { size, digest } => {
                if *size > SMALL {
                    return wrong(format!("has {size} bytes; from {SMALL} on a file is a list of chunks"));
                }
                if *size == 0 && *digest != Hash::of(b"") {
                    return wrong("is empty and has the digest of something".to_owned());
                }
            }
            Content::Large { size, .. } => {
                if *size <= SMALL {
                    return wrong(format!("has {size} bytes; up to {SMALL} a file is one object"));
                }
            }
            Content::External(external) => {
                if self.executable {
                    return wrong("lies elsewhere and cannot be executable".to_owned());
                }
                let texts = [Some(&external.uri), external.digest.as_ref(), external.etag.as_ref()];
                for text in texts.into_iter().flatten() {
                    if text.is_empty() || text.len() > MAX_URI || text.chars().any(char::is_control) {
                        return wrong(format!(
                            "lies elsewhere: its address, digest and etag have 1 to {MAX_URI} bytes and no control characters"
                        ));
                    }
                }
                let scheme = external.uri.split_once(':').map_or("", |(scheme, _)| scheme);
                let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                    && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                if !is_scheme {
                    return wrong("lies elsewhere: its address begins with a scheme, such as s3://".to_owned());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.text(&self.path);
        let executable = u8::from(self.executable);
        match &self.content {
            Content::Small { size, digest } => {
                out.byte(executable);
                out.number(*size);
                out.hash(digest);
            }
            Content::Large { size, digest, list } => {
                out.byte(executable | 2);
                out.number(*size);
                out.hash(digest);
                out.hash(list);
            }
            Content::External(External { uri, size, digest, etag }) => {
                let says =
                    u8::from(size.is_some()) << 3 | u8::from(digest.is_some()) << 4 | u8::from(etag.is_some()) << 5;
                out.byte(4 | says);
                out.text(uri);
                if let Some(size) = size {
                    out.number(*size);
                }
                for text in [digest, etag].into_iter().flatten() {
                    out.text(text);
                }
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let path = from.text(MAX_PATH)?;
        let flags = from.byte()?;
        let executable = flags & 1 == 1;
        let content = match flags {
            0 | 1 => Content::Small { size: from.number()?, digest: from.hash()? },
            2 | 3 => Content::Large { size: from.number()?, digest: from.hash()?, list: from.hash()? },
            _ if flags & 0b1100_0111 == 4 => {
                let uri = from.text(MAX_URI)?;
                let size = if flags & 8 == 0 { None } else { Some(from.number()?) };
                let digest = if flags & 16 == 0 { None } else { Some(from.text(MAX_URI)?) };
                let etag = if flags & 32 == 0 { None } else { Some(from.text(MAX_URI)?) };
                Content::External(External { uri, size, digest, etag })
            }
            _ => return Err(from.wrong("has an entry of an unknown sort")),
        };
        let entry = Self { path, executable, content };
        entry.check()?;
        Ok(entry)
    }
}

/// Whether this is a path of a version; otherwise, the rule that it breaks, to go on after the path.
///
/// # Errors
/// The rule.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.len() > MAX_PATH {
        return Err("is longer than 1,024 bytes");
    }
    if path.starts_with('/') {
        return Err("is absolute; give a path relative to the folder");
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err("contains a back slash or a control character");
    }
    for part in path.split('/') {
        match part {
            "" | "." => return Err("has an empty part or a \".\"; write it as a/b/c"),
            ".." => return Err("leaves the folder; \"..\" is not allowed"),
            part if part.len() > 255 => return Err("has a part of more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}
