//! The socket file of the local API.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::runtime::{Runtime, UnixAcceptor};

/// Mode of the socket file: whoever may open it may write to the streams.
const SOCKET_MODE: u32 = 0o600;

/// Longest path of a socket, bytes: what `sockaddr_un` has on Linux, without the zero at its end.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process serves there.
    #[error("expected no other process to serve {path}, found one that answers")]
    InUse {
        /// Socket file.
        path: PathBuf,
    },
    /// There is a file that is no socket.
    #[error("expected a socket or nothing at {path}, found another kind of file")]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The path does not fit into a socket address.
    #[error("expected a socket path of at most {MAX_SOCKET_PATH_BYTES} bytes, found {path} with {}", path.as_os_str().len())]
    PathTooLong {
        /// Socket file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot make the socket {path}: {source}")]
    Io {
        /// Socket file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A listening socket; its file goes away with it.
#[derive(Debug)]
pub struct LocalSocket {
    acceptor: Box<dyn UnixAcceptor>,
    path: PathBuf,
}

impl LocalSocket {
    /// Binds `path` with mode 0600 and listens. A socket file that nobody listens to any more is
    /// replaced. The caller makes sure that no other process does the same at the same time.
    pub fn bind(runtime: &dyn Runtime, path: &Path) -> Result<Self, SocketError> {
        let io = |source: io::Error| SocketError::Io { path: path.to_owned(), source };
        let address =
            SocketAddrUnix::new(path).map_err(|_| SocketError::PathTooLong { path: path.to_owned() })?;
        remove_stale(path)?;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(|error| io(error.into()))?;
        rustix::net::bind(&socket, &address).map_err(|error| io(error.into()))?;
        // Nobody can connect before `listen`, so the mode is in force before the first one does.
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(io)?;
        rustix::net::listen(&socket, BACKLOG).map_err(|error| io(error.into()))?;
        let acceptor = runtime.listen_unix(UnixListener::from(socket)).map_err(io)?;
        Ok(Self { acceptor, path: path.to_owned() })
    }

    /// The socket file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn acceptor(&self) -> &dyn UnixAcceptor {
        &*self.acceptor
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file not removed");
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let path = path.to_owned();
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SocketError::Io { path, source }),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket { path });
    }
    match UnixStream::connect(&path) {
        Ok(_) => Err(SocketError::InUse { path }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(&path).map_err(|source| SocketError::Io { path, source })
        }
        Err(source) => Err(SocketError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::AsyncStd;

    #[test]
    fn only_the_owner_may_open_it_and_it_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api");
        let socket = LocalSocket::bind(&AsyncStd, &path).unwrap();
        let mode = fs::metadata(socket.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(LocalSocket::bind(&AsyncStd, &path), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_another_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("stale");
        drop(UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        LocalSocket::bind(&AsyncStd, &stale).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert!(matches!(LocalSocket::bind(&AsyncStd, &file), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn a_path_that_is_too_long_is_named() {
        let path = PathBuf::from("/").join("x".repeat(200));
        let error = LocalSocket::bind(&AsyncStd, &path).unwrap_err();
        assert!(matches!(error, SocketError::PathTooLong { .. }), "{error}");
        assert!(error.to_string().contains("201"), "{error}");
    }
}
