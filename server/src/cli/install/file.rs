//! A client's file: read, and replaced whole.
//!
//! Owns: that a file is either as it was or as it shall be, that it keeps its mode and owner, that a link is followed and not
//! replaced, and that root writes nowhere where another user could have laid a link. Knows nothing of what is in it.
//!
//! What nobody can rule out without the client's help: that it writes the file between the last look and the rename.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access, geteuid};

use super::client::Scope;

/// Far above what any client writes; more is no configuration.
const MAX_BYTES: u64 = 64 << 20;

/// A client's file as it was found.
#[derive(Debug)]
pub(super) struct Current {
    /// Where it is, links followed.
    path: PathBuf,
    /// What is in it, with what the kernel says of it, where it is there.
    content: Option<(String, Metadata)>,
}

/// Why a file is left alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("{} changed while it was worked on; call again", .0.display())]
    Changed(PathBuf),
    #[error(
        "{} belongs to the user with id {owner}, or others may write in it: root writes nothing where another user may have laid a link; call it as that user",
        .path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{}: {error}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("{} is a link to something that is not there", .0.display())]
    Nowhere(PathBuf),
    #[error("{} is no plain file of at most 64 MiB of UTF-8 text", .0.display())]
    NoText(PathBuf),
    #[error("{} may only be read by this user", .0.display())]
    ReadOnly(PathBuf),
    #[error("{} has other names (hard links) or an access control list, which would be lost", .0.display())]
    Shared(PathBuf),
    #[error("the owner or the group of {} could not be kept: {error}", .path.display())]
    Owner {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
}

impl FileProblem {
    /// Whether somebody else may do it.
    pub(super) fn is_of_permission(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == ErrorKind::PermissionDenied,
            Self::Foreign { .. } | Self::Owner { .. } | Self::ReadOnly(_) => true,
            Self::Changed(_) | Self::NoText(_) | Self::Nowhere(_) | Self::Shared(_) => false,
        }
    }
}

/// A problem of an input or output, with the path.
fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> FileProblem {
    let path = path.to_owned();
    move |error| FileProblem::Io { path, error }
}

impl Current {
    /// Reads it. One that is not there is no error.
    ///
    /// # Errors
    /// It cannot be read, or is nothing that should be written.
    pub(super) fn read(path: &Path) -> Result<Self, FileProblem> {
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => resolved(path)?,
            Err(error) => return Err(io_at(path)(error)),
        };
        if geteuid().is_root()
            && let Some((path, owner)) = foreign([path, &target])
        {
            return Err(FileProblem::Foreign { path, owner });
        }
        let content = content_of(&target)?;
        if let Some((_, metadata)) = &content
            && (metadata.nlink() > 1 || has_access_list(&target))
        {
            return Err(FileProblem::Shared(target));
        }
        if content.is_some() && access(&target, AccessFlags::W_OK).is_err() {
            return Err(FileProblem::ReadOnly(target));
        }
        Ok(Self {
            path: target,
            content,
        })
    }
    /// What is in it; nothing where it is not there.
    pub(super) fn text(&self) -> &str {
        self.content.as_ref().map_or("", |(text, _)| text)
    }
    /// Where it is, links followed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// Puts another in its place.
    ///
    /// # Errors
    /// It could not be, and is as it was.
    pub(super) fn replace(&self, text: &str, scope: Scope) -> Result<(), FileProblem> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // Of a user's own configuration, which may hold keys one day, others see nothing.
        let (of_folder, of_file) = match scope {
            Scope::Project => (0o777, 0o666),
            Scope::User => (0o700, 0o600),
        };
        let mut maker = DirBuilder::new();
        maker.recursive(true).mode(of_folder);
        maker.create(folder).map_err(io_at(folder))?;
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".headwater-{}", std::process::id()));
        let temporary = folder.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if self.content.is_some() {
                0o600
            } else {
                of_file
            })
            .open(&temporary)
            .map_err(io_at(folder))?;
        let replaced = self.fill(&mut file, text).and_then(|()| {
            let now = content_of(&self.path)?.map(|(text, _)| text);
            if now.as_deref() != self.content.as_ref().map(|(text, _)| text.as_str()) {
                return Err(FileProblem::Changed(self.path.clone()));
            }
            std::fs::rename(&temporary, &self.path).map_err(io_at(&self.path))
        });
        if replaced.is_err() {
            let _ = std::fs::remove_file(&temporary);
        } else if let Ok(folder) = File::open(folder) {
            // The rename itself outlasts a loss of power; that it may not is no reason to call it failed.
            let _ = folder.sync_all();
        }
        replaced
    }
    /// Gives a new file the text, and the owner and mode of the old one.
    fn fill(&self, file: &mut File, text: &str) -> Result<(), FileProblem> {
        file.write_all(text.as_bytes()).map_err(io_at(&self.path))?;
        if let Some((_, old)) = &self.content {
            let new = file.metadata().map_err(io_at(&self.path))?;
            let changed = |old: u32, new: u32| (old != new).then_some(old);
            let (owner, group) = (changed(old.uid(), new.uid()), changed(old.gid(), new.gid()));
            if owner.is_some() || group.is_some() {
                std::os::unix::fs::fchown(&*file, owner, group).map_err(|error| {
                    FileProblem::Owner {
                        path: self.path.clone(),
                        error,
                    }
                })?;
            }
            let mode = Permissions::from_mode(old.mode() & 0o7777);
            file.set_permissions(mode).map_err(io_at(&self.path))?;
        }
        file.sync_all().map_err(io_at(&self.path))
    }
}

/// A path of nothing yet, with links followed as far as there is something.
fn resolved(path: &Path) -> Result<PathBuf, FileProblem> {
    let there = path
        .ancestors()
        .find(|part| part.symlink_metadata().is_ok())
        .unwrap_or(Path::new("/"));
    let rest = path.strip_prefix(there).unwrap_or(path);
    match there.canonicalize() {
        Ok(there) => Ok(there.join(rest)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(FileProblem::Nowhere(there.to_owned()))
        }
        Err(error) => Err(io_at(there)(error)),
    }
}

fn content_of(path: &Path) -> Result<Option<(String, Metadata)>, FileProblem> {
    // What waits for somebody else, as a pipe does, is not opened at all.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() || metadata.len() > MAX_BYTES => {
            return Err(FileProblem::NoText(path.to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_at(path)(error)),
    }
    let mut file = File::open(path).map_err(io_at(path))?;
    let metadata = file.metadata().map_err(io_at(path))?;
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) => Ok(Some((text, metadata))),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(FileProblem::NoText(path.to_owned()))
        }
        Err(error) => Err(io_at(path)(error)),
    }
}

/// The first part of these paths that is not root's, or where others may lay something new: they may change no name in a folder
/// like `/tmp` (sticky), but add one.
fn foreign<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<(PathBuf, u32)> {
    paths.into_iter().find_map(|path| {
        let there = path
            .ancestors()
            .filter_map(|part| Some((part, part.symlink_metadata().ok()?)));
        there
            .enumerate()
            .find(|(at, (_, metadata))| {
                let is_writable = metadata.is_dir() && metadata.mode() & 0o022 != 0;
                let is_sticky = metadata.mode() & 0o1000 != 0;
                metadata.uid() != 0 || is_writable && (*at == 0 || !is_sticky)
            })
            .map(|(_, (part, metadata))| (part.to_owned(), metadata.uid()))
    })
}

/// Whether more is said of who may read it than its mode says.
fn has_access_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok()
}
