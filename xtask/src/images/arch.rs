//! The processors that images are made for, and what each is called by those who have to agree.

use std::env::consts;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::deps::Purpose;

/// A processor, by the name that images have for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Arch {
    /// x86-64
    Amd64,
    /// 64-bit ARM
    Arm64,
}

impl Arch {
    /// The processor of this machine; amd64 if it is neither.
    pub fn of_this_machine() -> Self {
        if consts::ARCH == "aarch64" {
            Self::Arm64
        } else {
            Self::Amd64
        }
    }

    /// What image specification and Debian call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What Rust calls it, with a C library that a program can carry in itself.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The number by which an ELF file names it.
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// The C compiler for the little C that the dependencies have. Debian has one for musl on the machine itself, and one
    /// for glibc to cross; the C in question calls nothing in which the two differ.
    pub fn c_compiler(self) -> PathBuf {
        PathBuf::from(match self {
            _ if self == Self::of_this_machine() => "musl-gcc",
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        })
    }

    /// What has to be installed to make images for it.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Arm64 if self != Self::of_this_machine() => Purpose::ImagesArm64,
            _ => Purpose::Images,
        }
    }
}
