//! Writes the files that follow from the API's types and rules; `xtask generate` runs it. With `--check` it only compares,
//! and fails naming what differs.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use holdfast_api::reference::generated;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn main() -> ExitCode {
    let check = env::args().any(|argument| argument == "--check");
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let mut stale = Vec::new();
    for (name, text) in generated()? {
        let path = Path::new(ROOT).join(&name);
        let shown = name.display();
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            println!("  {shown} is up to date");
        } else if check {
            stale.push(shown.to_string());
        } else {
            let folder = path.parent().unwrap_or(&path);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, text))
                .map_err(|e| format!("writing {shown}: {e}"))?;
            println!("  {shown} is written anew");
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} is not what `make generate` writes; run it and commit the result",
            stale.join(", ")
        ))
    }
}
