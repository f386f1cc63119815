//! Files that hold what is no number, or are none.

use std::{fs, os::unix::fs::symlink, path::Path, time::Instant};

use holdfast_e2e::{
    Result,
    pair::{Scene, unnoticed},
};
use holdfast_lab::{Node, harness::Outcome};
use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::{SHOWN, became_active, pair, probe, probes, vip, wait_for, wait_for_run, web};

/// What a file may hold that is no number to be added, with what is said of it.
const NONSENSE: &[(&str, &str)] = &[
    ("", "is empty"),
    ("254", "holds 254, which is not between -253 and 253"),
    (
        "-99999999999999999999",
        "holds -9999999999999999999…, which is not between",
    ),
    ("5 -150", "holds `5 -150`, which is no number"),
    (" \n\n", "is empty"),
    ("-150\n7\n", "holds `-1507`, which is no number"),
    ("0x10", "holds `0x10`"),
    ("--5", "holds `--5`"),
    ("1e2", "holds `1e2`"),
    ("٥", "holds `٥`"),
    ("\u{1b}[31m5", "holds `[31m5`"),
];

pub fn files() -> Outcome {
    let scene = Scene::new()?;
    let folder = scene.a.folder().join("scales");
    fs::create_dir(&folder)?;
    let path = folder.join("number");
    let handler = |node: &Node| {
        let path = node.folder().join("scales/number");
        format!("file: {{path: {}, value: Priority}}", path.display())
    };
    // Many numbers in a short time are what damping is against, and not what this is about.
    let pair = pair(scene, |node| {
        let undamped = web().spec("flapDamping: {changes: 0}");
        undamped.spec(&probes(&[probe("scales", &handler(node), SHOWN)]))
    })?;
    let on_a = pair.on_a.agent()?;
    let start = Instant::now();
    for (content, part) in NONSENSE {
        fs::write(&path, content)?;
        wait_for_run(on_a, "scales", "Failed", part)?;
    }
    // What comes after so much space that nobody looks there is not left out.
    for filler in [" ".repeat(300), "0".repeat(300), "\n".repeat(1 << 20)] {
        fs::write(&path, "")?;
        wait_for_run(on_a, "scales", "Failed", "is empty")?;
        fs::write(&path, format!("0{filler}-150"))?;
        wait_for_run(on_a, "scales", "Failed", "is longer than")?;
    }
    let sum = |sum: &str| wait_for(on_a, sum, |group| group["priorityExplained"] == sum);
    sum("200 base")?;
    fs::write(&path, "+9\n")?;
    sum("200 base + 9 scales = 209")?;

    // Replaced by links: to another number, to nothing, to itself, to what has no end, to what nobody writes.
    let other = pair.scene.a.folder().join("other");
    fs::write(&other, "-7")?;
    let pipe = pair.scene.a.folder().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let relink = |target: &Path| -> Result<()> {
        let beside = folder.join("beside");
        symlink(target, &beside)?;
        Ok(fs::rename(beside, &path)?)
    };
    relink(&other)?;
    sum("200 base − 7 scales = 193")?;
    fs::write(&other, "8")?;
    sum("200 base + 8 scales = 208")?;
    relink(Path::new("nowhere"))?;
    wait_for_run(on_a, "scales", "Failed", "does not exist")?;
    relink(&path)?;
    wait_for_run(on_a, "scales", "CouldNotRun", "cannot be read")?;
    for target in [Path::new("/dev/zero"), &pipe, &folder] {
        relink(target)?;
        wait_for_run(on_a, "scales", "Failed", "is no regular file")?;
        relink(Path::new("nowhere"))?;
        wait_for_run(on_a, "scales", "Failed", "does not exist")?;
    }
    sum("200 base")?;

    // The folder goes, and comes back with something in it.
    fs::remove_dir_all(&folder)?;
    wait_for_run(on_a, "scales", "Failed", "does not exist")?;
    fs::create_dir(&folder)?;
    fs::write(&path, "30")?;
    sum("200 base + 30 scales = 230")?;
    unnoticed(&pair.meter, vip(), start);
    assert_eq!((became_active(on_a)?, became_active(pair.on_b.agent()?)?), (1, 0));

    // And then the one that counts.
    fs::write(&path, "-253")?;
    pair.settle_on("b")?;
    Ok(())
}
