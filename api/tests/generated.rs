//! The generated files in the repository are what the code says now.

use std::path::Path;

use holdfast_api::reference::generated;

#[test]
fn generated_files_are_up_to_date() {
    for (name, text) in generated().unwrap() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(&name);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            old == text,
            "{} is not up to date: run `make generate` and commit the result",
            name.display()
        );
    }
}

#[test]
fn the_definitions_are_yaml_that_reads_back_as_the_same() {
    for ((name, text), crd) in generated()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("crds"))
        .zip(holdfast_api::crd::crds())
    {
        let documents = holdfast_api::yaml::read(text).unwrap();
        assert_eq!(documents.len(), 1, "{}", name.display());
        assert_eq!(
            documents[0].value,
            serde_json::to_value(&crd).unwrap(),
            "{}",
            name.display()
        );
    }
}
