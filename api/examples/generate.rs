//! Writes the files that follow from the API's types and rules; `xtask generate` runs it, and a test compares them.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use holdfast_api::reference::generated;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    for (name, text) in generated()? {
        let path = Path::new(ROOT).join(&name);
        let shown = name.display();
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            println!("  {shown} is up to date");
        } else {
            let folder = path.parent().unwrap_or(&path);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, text))
                .map_err(|e| format!("writing {shown}: {e}"))?;
            println!("  {shown} is written anew");
        }
    }
    Ok(())
}
