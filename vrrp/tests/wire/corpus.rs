//! Replays the committed fuzzing corpus through the functions that the fuzz targets call.

use std::fs;
use std::path::Path;

use crate::fuzz;

fn replay(target: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for file in
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()))
    {
        let path = file.unwrap().path();
        let data = fs::read(&path).unwrap();
        // The name of the file that fails stands in the test's output.
        println!("replaying {}", path.display());
        entry(&data);
        replayed += 1;
    }
    assert!(replayed >= 12, "only {replayed} files in {}", folder.display());
}

#[test]
fn vrrp_corpus_replays() {
    replay("vrrp", fuzz::vrrp);
}

#[test]
fn arp_corpus_replays() {
    replay("arp", fuzz::arp);
}

#[test]
fn ndp_corpus_replays() {
    replay("ndp", fuzz::ndp);
}
