//! Services of Debian's packages, as what stands behind a virtual address: nginx, HAProxy, MariaDB.

mod haproxy;
mod mariadb;
mod nginx;

pub use self::{haproxy::HaProxy, mariadb::MariaDb, nginx::Nginx};

use std::{fs, path::Path};

use crate::error::{Doing as _, Result};

/// Writes a configuration, whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text).doing(|| format!("write {}", new.display()))?;
    fs::rename(&new, path).doing(|| format!("put {} in place", path.display()))
}
