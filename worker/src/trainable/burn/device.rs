//! Which burn backend a trainer uses: chosen at run time among those compiled in, and looked for before burn touches it,
//! for a missing library makes burn panic in a thread of its own.
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use hpo_core::job::Device as Asked;

/// A backend that is compiled in and whose libraries were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// burn-flex, on the CPU.
    Flex,
    /// NVIDIA; kernels are compiled at run time by NVRTC.
    #[cfg(feature = "cuda")]
    Cuda,
    /// Any card with a Vulkan driver.
    #[cfg(feature = "vulkan")]
    Vulkan,
}

/// Why the device asked for cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum DeviceFault {
    /// Not compiled in.
    #[error("this hpo was built without {0}: build it with `--features {0}`, or set device = \"cpu\"")]
    NotCompiledIn(&'static str),
    /// No driver.
    #[error("device = \"{device}\" needs {library}, which is not on this machine's loader path: {remedy}")]
    NoLibrary {
        /// What was asked for.
        device: &'static str,
        /// Which file.
        library: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The slot shows no card.
    #[error("device = \"cuda\", but CUDA_VISIBLE_DEVICES hides every card from this slot: give the worker GPU slots")]
    Hidden,
}

impl Backend {
    /// The backend for what the sweep file asks for.
    ///
    /// # Errors
    /// A backend that is not compiled in or whose driver is missing; never for `cpu`, nor for `auto` unless `BURN_DEVICE`
    /// names such a backend.
    pub fn choose(asked: Asked) -> Result<Self, DeviceFault> {
        match asked {
            Asked::Cpu => Ok(Self::Flex),
            Asked::Cuda => cuda(),
            Asked::Vulkan => vulkan(),
            // What the agent has chosen for the slot, where there is an agent.
            Asked::Auto => match std::env::var("BURN_DEVICE").as_deref() {
                Ok("flex") => Ok(Self::Flex),
                Ok("cuda") => cuda(),
                Ok("vulkan") => vulkan(),
                _ => Ok(cuda().or_else(|_| vulkan()).unwrap_or(Self::Flex)),
            },
        }
    }

    /// burn's device; the first one that the slot shows.
    #[must_use]
    pub fn open(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Device::vulkan(Default::default()),
        }
    }

    /// What `BURN_DEVICE` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "cuda")]
            Self::Cuda => "cuda",
            #[cfg(feature = "vulkan")]
            Self::Vulkan => "vulkan",
        }
    }
}

/// What a trainer's environment must hold before it starts: burn puts restored optimizer state on the device that
/// `BURN_DEVICE` names, and a trainer on the CPU is one thread on one core. For a slot without a GPU, ask for [`Asked::Cpu`].
#[must_use]
pub fn child_environment(asked: Asked) -> Vec<(String, String)> {
    // An impossible device is the trainer's to report, to whom it says why.
    let backend = Backend::choose(asked).unwrap_or(Backend::Flex);
    let mut environment = vec![("BURN_DEVICE".to_owned(), backend.name().to_owned())];
    if backend == Backend::Flex {
        environment.push(("RAYON_NUM_THREADS".to_owned(), "1".to_owned()));
    }
    environment
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Backend, DeviceFault> {
    Err(DeviceFault::NotCompiledIn("cuda"))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Backend, DeviceFault> {
    if hides_all(std::env::var_os("CUDA_VISIBLE_DEVICES").as_deref()) {
        return Err(DeviceFault::Hidden);
    }
    let find = |library, remedy| match found(library) {
        true => Ok(()),
        false => Err(DeviceFault::NoLibrary { device: "cuda", library, remedy }),
    };
    find("libcuda.so", "install the NVIDIA driver, or set device = \"cpu\"")?;
    find("libnvrtc.so", "load the CUDA toolkit (or its nvrtc and header packages) and set LD_LIBRARY_PATH and CUDA_PATH")?;
    Ok(Backend::Cuda)
}

#[cfg(not(feature = "vulkan"))]
fn vulkan() -> Result<Backend, DeviceFault> {
    Err(DeviceFault::NotCompiledIn("vulkan"))
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Result<Backend, DeviceFault> {
    let remedy = "install the Vulkan loader and the card's driver, or set device = \"cpu\"";
    match found("libvulkan.so") {
        true => Ok(Backend::Vulkan),
        false => Err(DeviceFault::NoLibrary { device: "vulkan", library: "libvulkan.so", remedy }),
    }
}

/// `CUDA_VISIBLE_DEVICES` that is empty, or begins with -1, shows no card.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
fn hides_all(visible: Option<&OsStr>) -> bool {
    visible.is_some_and(|list| list.is_empty() || list == "-1" || list == "NoDevFiles")
}

/// Whether the loader would find a library of that name or with a version after it. Looks where the loader looks;
/// loading it would need unsafe code.
#[cfg_attr(not(any(feature = "cuda", feature = "vulkan")), allow(dead_code))]
fn found(library: &str) -> bool {
    let given = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let cache = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
    let usual = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/lib/wsl/lib", "/usr/local/cuda/lib64"].map(PathBuf::from);
    listed(&cache, library) || std::env::split_paths(&given).chain(usual).any(|folder| holds(&folder, library))
}

/// Whether the loader's cache names a file `.../library*` that is there. The cache keeps its paths as C strings.
#[cfg_attr(not(any(feature = "cuda", feature = "vulkan")), allow(dead_code))]
fn listed(cache: &[u8], library: &str) -> bool {
    let file = format!("/{library}");
    let paths = cache.split(|&byte| byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    paths.filter(|path| path.starts_with('/') && path.contains(&file)).any(|path| Path::new(path).exists())
}

#[cfg_attr(not(any(feature = "cuda", feature = "vulkan")), allow(dead_code))]
fn holds(folder: &Path, library: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(library))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_others_say_why_not() {
        assert_eq!(Backend::choose(Asked::Cpu).unwrap(), Backend::Flex);
        assert!(Backend::choose(Asked::Auto).is_ok());
        #[cfg(not(feature = "cuda"))]
        assert_eq!(
            Backend::choose(Asked::Cuda).unwrap_err().to_string(),
            "this hpo was built without cuda: build it with `--features cuda`, or set device = \"cpu\""
        );
        assert_eq!(
            child_environment(Asked::Cpu),
            [("BURN_DEVICE".to_owned(), "flex".to_owned()), ("RAYON_NUM_THREADS".to_owned(), "1".to_owned())]
        );
    }

    #[test]
    fn libraries_are_found_by_name_in_folders_and_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libcuda.so.1");
        assert!(!holds(folder.path(), "libcuda.so"));
        std::fs::write(&path, b"").unwrap();
        assert!(holds(folder.path(), "libcuda.so"));
        assert!(!holds(folder.path(), "libnvrtc.so"));
        let cache = [b"glibc-ld.so.cache1.1\0libcuda.so.1\0".as_slice(), path.to_str().unwrap().as_bytes(), b"\0"].concat();
        assert!(listed(&cache, "libcuda.so"));
        std::fs::remove_file(path).unwrap();
        assert!(!listed(&cache, "libcuda.so"), "the cache may be older than the files");
    }

    #[test]
    fn a_slot_may_hide_all_cards() {
        assert!(!hides_all(None) && !hides_all(Some(OsStr::new("0"))) && !hides_all(Some(OsStr::new("GPU-3f"))));
        assert!(hides_all(Some(OsStr::new(""))) && hides_all(Some(OsStr::new("-1"))));
    }
}
