//! What an ELF file says about itself: whether it runs where there is nothing but it, and on which processor.

use anyhow::{Context, Result, ensure};

use super::arch::Arch;

/// A program header that names the loader of shared libraries, which an image without a system does not have.
const INTERPRETER: u32 = 3;

/// Fails unless `program` is a static program for `arch`.
pub fn ensure_static(program: &[u8], arch: Arch) -> Result<()> {
    let cut = || "the file ends within its header";
    ensure!(
        program.starts_with(b"\x7fELF\x02\x01"),
        "it is no 64-bit little-endian ELF file"
    );
    let machine = number::<2>(program, 18).with_context(cut)?;
    ensure!(
        machine == u64::from(arch.elf_machine()),
        "it is for another processor than {} (ELF machine {machine})",
        arch.name()
    );
    let table = number::<8>(program, 32).with_context(cut)?;
    let size = number::<2>(program, 54).with_context(cut)?;
    let count = number::<2>(program, 56).with_context(cut)?;
    for index in 0..count {
        let at = usize::try_from(table + index * size).context("a program header lies beyond any file")?;
        ensure!(
            number::<4>(program, at).with_context(cut)? != u64::from(INTERPRETER),
            "it is dynamically linked"
        );
    }
    Ok(())
}

/// The little-endian number of `N` bytes at `offset`.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(N)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header of this type.
    fn elf(machine: u16, header: u32) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file.extend(header.to_le_bytes());
        file
    }

    fn complaint(program: &[u8], arch: Arch) -> String {
        ensure_static(program, arch).unwrap_err().to_string()
    }

    #[test]
    fn a_program_without_a_loader_is_static() {
        ensure_static(&elf(62, 1), Arch::Amd64).unwrap();
        ensure_static(&elf(183, 1), Arch::Arm64).unwrap();
    }

    #[test]
    fn a_program_that_names_a_loader_is_refused() {
        assert!(complaint(&elf(62, INTERPRETER), Arch::Amd64).contains("dynamically linked"));
    }

    #[test]
    fn this_test_itself_is_dynamically_linked() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(complaint(&this, Arch::of_this_machine()).contains("dynamically linked"));
    }

    #[test]
    fn a_program_for_another_processor_is_refused() {
        assert!(complaint(&elf(183, 1), Arch::Amd64).contains("another processor than amd64"));
    }

    #[test]
    fn what_is_no_program_is_refused_wherever_it_ends() {
        assert!(complaint(b"#!/bin/sh\n", Arch::Amd64).contains("no 64-bit"));
        let whole = elf(62, 1);
        for length in 6..whole.len() {
            assert!(complaint(&whole[..length], Arch::Amd64).contains("ends within its header"));
        }
    }
}
