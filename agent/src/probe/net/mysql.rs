//! Logs in to a MySQL or MariaDB server, and asks whether it takes writes.

mod session;

use core::time::Duration;

use holdfast_api::model::probe::{Material, Mysql};

use self::session::Session;
use super::Look;
use super::aside::Aside;
use super::dial::Dialer;
use super::failure::{Failure, Found, quote};
use super::material;
use super::stage::Stage;
use crate::source::password::first_line;

/// `super_read_only` needs no question of its own: a MySQL that has it on has `read_only` on as well.
const READ_ONLY: &str = "SELECT @@global.read_only";

/// How long a server may take to close after it was told that this was all. One that is cut off instead counts an aborted
/// client.
const FAREWELL: Duration = Duration::from_millis(100);

/// Looks by logging in.
pub struct MysqlLook {
    dialer: Dialer,
    local: bool,
    user: String,
    password: Option<Material>,
    reading: Aside<Result<Vec<u8>, Failure>>,
    writable: bool,
    stage: Stage,
}

impl MysqlLook {
    /// As `mysql` says.
    pub fn new(mysql: &Mysql) -> Self {
        Self {
            dialer: Dialer::new(&mysql.target),
            local: matches!(mysql.target, holdfast_api::model::probe::Target::Socket(_)),
            user: mysql.user.clone(),
            password: mysql.password.clone(),
            reading: Aside::default(),
            writable: mysql.writable,
            stage: Stage::default(),
        }
    }

    async fn password(&mut self) -> Result<Vec<u8>, Failure> {
        let bytes = match &self.password {
            None => return Ok(Vec::new()),
            Some(Material::Bytes(secret)) => return Ok(first_line(&secret.0)),
            Some(file @ Material::File(_)) => {
                self.stage.set("the password file has not been read");
                let file = file.clone();
                self.reading
                    .run(move || material::read("the password file", &file))
                    .await
            }
        };
        let bytes = bytes.map_err(|error| Failure::of_io(&error))?;
        bytes.map(|bytes| first_line(&bytes))
    }
}

impl Look for MysqlLook {
    async fn look(&mut self) -> Found {
        let password = self.password().await?;
        let connection = self.dialer.connect(&mut self.stage).await?;
        self.stage.set(Stage::WAITING);
        let mut session = Session::new(connection, self.local);
        session.log_in(&self.user, &password, &mut self.stage).await?;
        let found = if self.writable {
            self.stage.set("logged in, but a question is not answered");
            let value = session.ask(READ_ONLY).await?;
            writable(&value)
        } else {
            Ok("logged in".to_owned())
        };
        // What it answered stands, however it takes leave.
        let _late = tokio::time::timeout(FAREWELL, session.quit()).await;
        found
    }

    fn stage(&self) -> &Stage {
        &self.stage
    }
}

/// MariaDB knows more kinds of read-only than one since version 12, and says them by name.
fn writable(read_only: &[u8]) -> Found {
    match read_only {
        b"0" | b"OFF" => Ok("logged in, takes writes".to_owned()),
        b"1" | b"ON" => Err(Failure::failed("the server is read-only")),
        other => Err(Failure::failed(format!(
            "the server is read-only ({})",
            quote(other)
        ))),
    }
}
