//! Names for runs and models that nobody named: `brisk-heron-412`.

const FIRST: [&str; 40] = [
    "amber", "ample", "azure", "brisk", "calm", "clear", "coral", "crisp", "deep", "deft", "eager", "early", "even",
    "fair", "fleet", "fond", "fresh", "gentle", "glad", "golden", "grand", "hardy", "keen", "kind", "level", "light",
    "lively", "mellow", "neat", "noble", "plain", "proud", "quick", "quiet", "ready", "silver", "sound", "steady",
    "swift", "warm",
];

const SECOND: [&str; 40] = [
    "auk", "bison", "boat", "brant", "brig", "crane", "curlew", "cutter", "dory", "dove", "egret", "falcon", "ferry",
    "finch", "gannet", "gull", "hare", "heron", "ibis", "kestrel", "ketch", "lark", "lynx", "marten", "otter", "owl",
    "petrel", "plover", "raven", "robin", "schooner", "seal", "skiff", "sloop", "stork", "swan", "tern", "whale",
    "wren", "yawl",
];

/// A name that is good to say. Not unique: runs are known by their ids.
pub(crate) fn random() -> String {
    let mut bytes = [0_u8; 4];
    // The operating system's generator does not fail once it has started.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| unreachable!("no random numbers: {error}"));
    let number = u32::from_le_bytes(bytes) as usize;
    let (first, rest) = (number % FIRST.len(), number / FIRST.len());
    let (second, rest) = (rest % SECOND.len(), rest / SECOND.len());
    format!("{}-{}-{}", FIRST[first], SECOND[second], rest % 900 + 100)
}
