//! What a version's digest rests on, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use manifest::{
    Change, Chunker, Content, Entry, External, Hash, List, MAX_CHUNK, MIN_CHUNK, Pack, PackBuilder, Page, Root, build,
    changes, differing,
    folder::{self, Cache, Links, Plan},
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
};

fn file(path: &str, content: &str) -> Entry {
    let content = Content::Small { size: content.len() as u64, digest: Hash::of(content.as_bytes()) };
    Entry { path: path.to_owned(), executable: false, content }
}

fn entries(files: &BTreeMap<String, String>) -> Vec<Entry> {
    files.iter().map(|(path, content)| file(path, content)).collect()
}

/// Pages by digest, as whoever has a version has them.
fn pages(built: &manifest::Built) -> HashMap<Hash, Vec<Entry>> {
    let read = |bytes: &Vec<u8>| {
        let (page, reference) = Page::read(bytes).unwrap();
        (reference.digest, page.entries)
    };
    built.pages.iter().map(read).collect()
}

fn all(count: usize) -> Vec<Entry> {
    (0..count).map(|n| file(&format!("images/{:03}/{n:06}.png", n % 331), &n.to_string())).collect()
}

fn diff(before: &manifest::Built, after: &manifest::Built) -> Vec<Change> {
    let (of_before, of_after) = (pages(before), pages(after));
    let (old, new) = differing(&before.root, &after.root);
    let read = |built: &manifest::Built, of: &HashMap<Hash, Vec<Entry>>, which: Vec<usize>| -> Vec<Entry> {
        which.into_iter().flat_map(|index| of[&built.root.pages[index].digest].clone()).collect()
    };
    changes(read(before, &of_before, old), read(after, &of_after, new)).collect()
}

fn tree() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-c]{1,2}\\.d/[a-d]{1,3}", "[xyz]{0,2}", 0..60)
}

proptest! {
    #[test]
    fn the_same_files_have_the_same_root_in_whatever_order_they_come(files in tree(), seed in any::<u64>()) {
        let sorted = build(entries(&files)).unwrap();
        let mut shuffled = entries(&files);
        shuffled.sort_by_key(|entry| blake3_of(seed, &entry.path));
        let shuffled = build(shuffled).unwrap();
        prop_assert_eq!(sorted.digest, shuffled.digest);
        prop_assert_eq!(&Root::read(&sorted.bytes).unwrap(), &sorted.root);
        prop_assert_eq!(sorted.root.entries(), files.len() as u64);
    }

    #[test]
    fn a_diff_is_what_comparing_every_file_gives(before in tree(), after in tree()) {
        let mut naive = Vec::new();
        for path in before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>() {
            match (before.get(path), after.get(path)) {
                (Some(old), None) => naive.push(Change::Removed(file(path, old))),
                (None, Some(new)) => naive.push(Change::Added(file(path, new))),
                (Some(old), Some(new)) if old != new => {
                    naive.push(Change::Changed { before: file(path, old), after: file(path, new) });
                }
                _ => {}
            }
        }
        let (before, after) = (build(entries(&before)).unwrap(), build(entries(&after)).unwrap());
        prop_assert_eq!(diff(&before, &after), naive);
        prop_assert_eq!(before.digest == after.digest, diff(&before, &after).is_empty());
    }

    #[test]
    fn whatever_is_read_is_written_the_same_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in 0..4) {
        let magic = ["slipway page 1\n", "slipway root 1\n", "slipway list 1\n", "slipway pack 1\n"][magic as usize];
        let bytes = [magic.as_bytes(), &bytes].concat();
        if let Ok((page, _)) = Page::read(&bytes) {
            prop_assert_eq!(&build(page.entries).unwrap().pages[0], &bytes);
        }
        if let Ok(root) = Root::read(&bytes) {
            prop_assert_eq!(root.write(), bytes.clone());
        }
        if let Ok(list) = List::read(&bytes) {
            prop_assert_eq!(list.write(), bytes.clone());
        }
        let _ = Pack::read(&bytes);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn chunks_do_not_depend_on_how_the_bytes_come(piece in 1_usize..3_000_000) {
        let bytes = noise(9 << 20, 7);
        prop_assert_eq!(chunks(&bytes, piece), chunks(&bytes, bytes.len()));
    }
}

fn blake3_of(seed: u64, path: &str) -> Hash {
    Hash::of(format!("{seed}{path}").as_bytes())
}

/// Bytes that look random, and are the same each time.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn chunks(bytes: &[u8], piece: usize) -> Vec<(Hash, u32)> {
    let (mut chunker, mut found) = (Chunker::default(), Vec::new());
    let mut add = |chunk: &[u8]| {
        found.push((Hash::of(chunk), chunk.len() as u32));
        Ok::<_, ()>(())
    };
    for piece in bytes.chunks(piece) {
        chunker.push(piece, &mut add).unwrap();
    }
    chunker.end(&mut add).unwrap();
    found
}

#[test]
fn a_byte_more_or_less_in_a_large_file_makes_one_or_two_new_chunks() {
    let bytes = noise(64 << 20, 3);
    let before = chunks(&bytes, bytes.len());
    assert_eq!(before.iter().map(|(_, size)| *size as usize).sum::<usize>(), bytes.len());
    assert!(before.iter().all(|(_, size)| *size <= MAX_CHUNK));
    assert!(before[..before.len() - 1].iter().all(|(_, size)| *size >= MIN_CHUNK));
    let known: HashSet<Hash> = before.iter().map(|(digest, _)| *digest).collect();
    let middle = bytes.len() / 2;
    let mut changed = bytes.clone();
    changed[middle] ^= 1;
    let mut longer = bytes.clone();
    longer.insert(1000, 0);
    let mut shorter = bytes;
    shorter.remove(middle);
    for after in [changed, longer, shorter] {
        let new = chunks(&after, after.len()).into_iter().filter(|(digest, _)| !known.contains(digest)).count();
        assert!((1..=2).contains(&new), "{new} new chunks");
    }
}

/// Cut points are a part of the format: with others, every large file would be stored again.
#[test]
fn files_are_cut_where_they_always_were() {
    let sizes: Vec<u32> = chunks(&noise(8 << 20, 1), 1 << 20).into_iter().map(|(_, size)| size).collect();
    assert_eq!(sizes, CUTS, "cut otherwise than before");
}
const CUTS: &[u32] = &[532_150, 2_088_921, 1_361_465, 604_807, 1_071_987, 2_119_792, 609_486];

#[test]
fn a_file_more_or_less_changes_one_page_or_two() {
    let before = build(all(50_000)).unwrap();
    assert!((6..30).contains(&before.root.pages.len()), "{} pages", before.root.pages.len());
    for n in 0..40 {
        let mut more = all(50_000);
        more.push(file(&format!("images/{n:03}/new.png"), "new"));
        let more = build(more).unwrap();
        let (old, new) = differing(&before.root, &more.root);
        assert!(old.len() == 1 && new.len() <= 2, "{} and {} pages", old.len(), new.len());
        let mut less = all(50_000);
        less.remove(n * 1000);
        let (old, new) = differing(&before.root, &build(less).unwrap().root);
        assert!(old.len() <= 2 && new.len() == 1, "{} and {} pages", old.len(), new.len());
    }
}

#[test]
fn pages_and_roots_that_are_not_canonical_are_refused() {
    let built = build(all(20_000)).unwrap();
    // A page cut elsewhere: two pages made of one.
    let (page, reference) = Page::read(&built.pages[0]).unwrap();
    assert_eq!(reference, built.root.pages[0]);
    let half = page.entries.len() / 2;
    let first = build(page.entries[..half].to_vec()).unwrap();
    assert!(!first.root.pages[0].is_ended);
    let mut root = built.root.clone();
    root.pages[0] = first.root.pages[0].clone();
    let error = Root::read(&root.write()).unwrap_err();
    assert!(error.to_string().contains("ends too early"), "{error}");
    let mut root = built.root.clone();
    root.pages.swap(0, 1);
    assert!(Root::read(&root.write()).unwrap_err().to_string().contains("not in order"));
    let mut longer = built.pages[0].clone();
    longer.push(0);
    assert!(Page::read(&longer).unwrap_err().to_string().contains("goes on after its end"));
}

#[test]
fn what_no_folder_could_hold_is_refused() {
    let refusal = |entries: Vec<Entry>| build(entries).unwrap_err().to_string();
    for path in ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb", &"x/".repeat(600), &"x".repeat(256)] {
        assert!(refusal(vec![file(path, "x")]).starts_with("The path"), "{path}");
    }
    assert_eq!(refusal(vec![file("a", "x"), file("a", "y")]), "The path \"a\" is there twice.");
    let both = vec![file("a", "x"), file("a-b", "y"), file("a/b/c", "y")];
    assert_eq!(refusal(both), "The path \"a\" is a file and a folder.");
    let elsewhere = |uri: &str| {
        let content = Content::External(External { uri: uri.to_owned(), ..External::default() });
        vec![Entry { path: "a".to_owned(), executable: false, content }]
    };
    assert!(build(elsewhere("s3://bucket/key")).is_ok());
    for uri in ["", "no scheme", "bucket/key:x", "s3://a\nb"] {
        assert!(refusal(elsewhere(uri)).contains("lies elsewhere"), "{uri}");
    }
}

#[test]
fn a_pack_is_checked_object_by_object() {
    let mut builder = PackBuilder::default();
    for bytes in [&b"one"[..], b"two two"] {
        builder.push(&Hash::of(bytes), bytes);
    }
    let body = builder.take();
    assert!(builder.is_empty());
    let pack = Pack::read(&body).unwrap();
    for (object, bytes) in pack.objects.iter().zip([&b"one"[..], b"two two"]) {
        assert_eq!(&body[object.at as usize..(object.at + object.size) as usize], bytes);
    }
    for index in 0..body.len() {
        let mut damaged = body.clone();
        damaged[index] ^= 0x10;
        assert!(Pack::read(&damaged).is_err(), "byte {index}");
        assert!(Pack::read(&body[..index]).is_err());
    }
}

fn plan(folder: &Path, cache: &mut Cache) -> Plan {
    let found = folder::walk(folder, Links::Follow).unwrap();
    Plan::new(folder::scan(found, cache, 2).unwrap(), Vec::new()).unwrap()
}

/// What a receiver without anything gets.
fn objects(plan: &Plan, known: &HashMap<Hash, Vec<u8>>) -> HashMap<Hash, Vec<u8>> {
    let missing = |of: Vec<Hash>| of.into_iter().filter(|hash| !known.contains_key(hash)).collect::<HashSet<_>>();
    let pages = missing(plan.pages());
    let lists = missing(plan.lists(&pages));
    let data = missing(plan.small(&pages)).into_iter().chain(missing(plan.chunks(&lists)));
    let mut wanted: HashSet<Hash> = data.chain(pages).chain(lists.clone()).collect();
    wanted.insert(plan.built().digest);
    let mut got = HashMap::new();
    for body in plan.packs(wanted.clone()) {
        let body = body.unwrap();
        for object in Pack::read(&body).unwrap().objects {
            let bytes = body[object.at as usize..(object.at + object.size) as usize].to_vec();
            assert!(got.insert(object.digest, bytes).is_none(), "sent twice");
        }
    }
    assert_eq!(got.keys().copied().collect::<HashSet<_>>(), wanted);
    got
}

#[test]
fn a_folder_is_sent_once_and_then_only_what_is_new_in_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/large.bin"), noise(20 << 20, 5)).unwrap();
    for (path, content) in [("a/one", "1"), ("a/same", "1"), ("a/b/empty", ""), ("two", "22")] {
        fs::write(folder.path().join(path), content).unwrap();
    }
    let first = plan(folder.path(), &mut Cache::default());
    assert_eq!((first.built().root.entries(), first.built().root.bytes()), (5, (20 << 20) + 4));
    let mut known = objects(&first, &HashMap::new());
    let again = plan(folder.path(), &mut Cache::default());
    assert_eq!(again.built().digest, first.built().digest);
    let mut bytes = noise(20 << 20, 5);
    bytes[10 << 20] ^= 1;
    fs::write(folder.path().join("a/b/large.bin"), bytes).unwrap();
    let second = plan(folder.path(), &mut Cache::default());
    let new = objects(&second, &known);
    // A chunk or two, the list, the page, the root.
    assert!((4..=5).contains(&new.len()), "{} objects", new.len());
    known.extend(new);
    assert_eq!(objects(&second, &known).len(), 1, "the root alone, which is always sent");
}

#[test]
fn a_file_that_the_cache_knows_is_not_read_and_one_that_was_just_written_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a");
    fs::write(&at, "old").unwrap();
    let mut cache = Cache::default();
    plan(folder.path(), &mut cache);
    assert!(cache.is_empty(), "it may change again within the same tick of the clock");
    // No call sets the time at which a file's metadata changed, so the test looks at an old file.
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let before = plan(&old, &mut cache);
    let stored = folder.path().join("cache/of/it");
    cache.save(&stored).unwrap();
    let mut loaded = Cache::load(&stored);
    assert_eq!(loaded.len(), cache.len());
    assert_eq!(plan(&old, &mut loaded).built().digest, before.built().digest);
    let mut bytes = fs::read(&stored).unwrap();
    bytes[30] ^= 1;
    fs::write(&stored, bytes).unwrap();
    assert!(Cache::load(&stored).is_empty(), "a damaged cache knows nothing");
}

#[test]
fn links_and_what_is_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("real"), "x").unwrap();
    std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
    let refused = folder::walk(folder.path(), Links::Refuse).unwrap_err();
    assert_eq!(refused.to_string(), "\"link\" is a link; a dataset has files alone.");
    assert_eq!(folder::walk(folder.path(), Links::Follow).unwrap().len(), 2);
    std::os::unix::fs::symlink(".", folder.path().join("round")).unwrap();
    let refused = folder::walk(folder.path(), Links::Follow).unwrap_err();
    assert!(refused.to_string().contains("link to a folder"), "{refused}");
}
