use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;

const SPLIT: Split = Split { train: 0.8, validation: 0.1, test: 0.1 };

fn idx(sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Reads the two files with these contents; paths in the answer are cut to the file's name.
fn read(images: &[u8], labels: &[u8]) -> Result<Raw, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["images", "labels"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], images).unwrap();
    std::fs::write(&paths[1], labels).unwrap();
    let cut = |fault: DataFault| fault.to_string().replace(&format!("{}/", folder.path().display()), "");
    super::idx::read(&paths[0], &paths[1]).map_err(cut)
}

fn good() -> (Vec<u8>, Vec<u8>) {
    (idx(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), idx(&[3], &[0, 2, 1]))
}

#[test]
fn idx_is_read_plain_and_gzipped() {
    let (images, labels) = good();
    let plain = read(&images, &labels).unwrap();
    assert_eq!((plain.input, plain.classes, plain.labels.as_slice()), ([1, 2, 2], 3, [0, 2, 1].as_slice()));
    assert_eq!(plain.image(1), [5, 6, 7, 8]);
    assert_eq!(read(&gzip(&images), &gzip(&labels)).unwrap(), plain);
    assert_eq!(read(&gzip(&images), &gzip(&labels)).unwrap().hash(), plain.hash());
}

#[test]
fn colours_become_planes() {
    let raw = read(&idx(&[2, 1, 2, 3], &[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]), &idx(&[2], &[0, 1])).unwrap();
    assert_eq!(raw.input, [3, 1, 2]);
    assert_eq!(raw.pixels, [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]);
}

#[test]
fn each_malformed_file_has_its_sentence() {
    let (images, labels) = good();
    let fault = |images: &[u8], labels: &[u8]| read(images, labels).unwrap_err();
    let cut = "cannot read images: it is damaged or was cut short; fetch it again";
    for end in [0, 2, 4, 15] {
        assert_eq!(fault(&images[..end], &labels), cut, "{end} bytes");
    }
    let zipped = gzip(&images);
    assert_eq!(fault(&zipped[..zipped.len() - 9], &labels), cut);
    assert_eq!(
        fault(b"<html>not found", &labels),
        "images is no IDX file: it begins with [3c, 68, 74, 6d], not with 00 00, the element type and the number of dimensions; \
         give the file as published, gzip or plain"
    );
    assert_eq!(
        fault(&[&[0, 0, 0x0d], &images[3..]].concat(), &labels),
        "images holds elements of IDX type 0x0d; only unsigned bytes (0x08) are read: convert it"
    );
    assert_eq!(
        fault(&labels, &images),
        "images has 1 dimensions, but images have three (count, height, width) or four (count, height, width, channels); \
         are `images` and `labels` swapped?"
    );
    let short = "images should hold 12 bytes after its header but holds 11; it was cut short or is damaged: fetch it again";
    assert_eq!(fault(&images[..images.len() - 1], &labels), short);
    let long = "images should hold 12 bytes after its header but holds more; it was cut short or is damaged: fetch it again";
    assert_eq!(fault(&[&images, &[0][..]].concat(), &labels), long);
    assert_eq!(fault(&images, &idx(&[2], &[0, 1])), "3 images in images but 2 labels in labels: give two files of the same set");
    assert_eq!(fault(&images, &idx(&[3], &[0, 0, 0])), "every label in labels is 0: a classifier needs at least two classes");
}

#[test]
fn a_header_that_announces_too_much_takes_no_memory() {
    let (images, labels) = good();
    for sizes in [[u32::MAX; 3], [1 << 16, 1 << 16, 2], [0, 28, 28]] {
        let fault = read(&idx(&sizes, &[]), &labels).unwrap_err();
        assert!(fault.contains("each must be at least 1, and all together at most 4294967296 bytes"), "{fault}");
    }
    // As much as is allowed, but not there.
    let fault = read(&idx(&[1 << 12, 1 << 10, 1 << 10], &[1, 2]), &labels).unwrap_err();
    assert!(fault.contains("should hold 4294967296 bytes after its header but holds 2"), "{fault}");
    assert!(read(&images, &idx(&[u32::MAX], &[])).is_err());
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none"), folder.path().to_owned()] {
        let fault = super::idx::read(&path, &path).unwrap_err();
        assert!(matches!(&fault, DataFault::Open { path: named, .. } if *named == path), "{fault}");
    }
}

#[test]
fn parts_are_disjoint_and_use_everything() {
    for (count, split) in [(10_000, SPLIT), (10, SPLIT), (7, Split { train: 0.6, validation: 0.4, test: 0.0 })] {
        let parts = split::draw(count, split, Seed(7)).unwrap();
        let all: BTreeSet<u32> = parts.iter().flatten().copied().collect();
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), all.len(), "{count}: someone is in two parts");
        assert_eq!(all, (0..count as u32).collect(), "{count}: someone is left out");
    }
    let [train, validation, test] = split::draw(10_000, SPLIT, Seed(7)).unwrap();
    assert_eq!([train.len(), validation.len(), test.len()], [8000, 1000, 1000]);
    assert_ne!(train, split::draw(10_000, SPLIT, Seed(8)).unwrap()[0]);
    assert!(train.iter().zip(0..).any(|(&member, index)| member != index), "in the order of the file");
}

#[test]
fn shares_that_leave_nothing_are_refused() {
    let fault = |train, validation, test| split::draw(20, Split { train, validation, test }, Seed(0)).unwrap_err().to_string();
    assert!(fault(0.8, 0.3, 0.0).starts_with("split: train = 0.8, validation = 0.3, test = 0: each must be from 0 to 1"));
    assert!(fault(-0.1, 0.3, 0.0).starts_with("split:"));
    assert!(fault(f64::NAN, 0.3, 0.0).starts_with("split:"));
    assert_eq!(fault(0.9, 0.01, 0.0), "split: of 20 examples none is left for validation; give it a larger share or use more data");
    assert_eq!(fault(0.0, 0.5, 0.5), "split: of 20 examples none is left for train; give it a larger share or use more data");
}

#[test]
fn the_training_part_has_mean_0_and_deviation_1() {
    let glyphs = Data::Glyphs { count: 300, classes: 5, size: 16, noise: 0.2 };
    let data = load(&glyphs, SPLIT, Seed(1)).unwrap();
    assert_eq!([data.train.len(), data.validation.len(), data.test.len()], [240, 30, 30]);
    assert_eq!(data.train.images.len(), 240 * 16 * 16);
    let count = data.train.images.len() as f64;
    let mean = data.train.images.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = data.train.images.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count - mean * mean;
    assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "mean {mean}, variance {variance}");
    let seen: BTreeSet<i32> = data.train.labels.iter().copied().collect();
    assert_eq!(seen, (0..5).collect());
}

#[test]
fn glyphs_are_frozen_by_their_seed() {
    let glyphs = Data::Glyphs { count: 40, classes: 4, size: 12, noise: 0.3 };
    let hash = |seed| load(&glyphs, SPLIT, Seed(seed)).unwrap().card.hash;
    // A change here makes every state file of a glyph sweep foreign.
    assert_eq!(hash(1), "8d320b5c2bd169734fc7c7b1a55f4e068ee93b7b0c0225b46de546514175af17");
    assert_ne!(hash(1), hash(2));
}

#[test]
fn glyph_classes_look_different_and_images_of_one_class_alike() {
    let raw = glyphs::generate(400, 10, 20, 0.1, Seed(3)).unwrap();
    let mean = |class: u8| {
        let members: Vec<usize> = (0..400).filter(|&index| raw.labels[index] == class).collect();
        let mut sum = vec![0.0; 400];
        for &member in &members {
            sum.iter_mut().zip(raw.image(member)).for_each(|(sum, &pixel)| *sum += f64::from(pixel) / members.len() as f64);
        }
        sum
    };
    let means: Vec<Vec<f64>> = (0..10).map(mean).collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    // The nearest mean is no good classifier, or the set would be trivial, but far better than chance.
    let right = (0..400).filter(|&index| {
        let image: Vec<f64> = raw.image(index).iter().map(|&pixel| f64::from(pixel)).collect();
        let nearest = (0..10).min_by(|&a, &b| distance(&image, &means[a]).total_cmp(&distance(&image, &means[b])));
        nearest == Some(usize::from(raw.labels[index]))
    });
    let right = right.count();
    assert!((120..=340).contains(&right), "{right} of 400");
}

#[test]
fn numbers_that_make_no_glyphs_are_refused() {
    let fault = |count, classes, size, noise| glyphs::generate(count, classes, size, noise, Seed(0)).unwrap_err().to_string();
    assert_eq!(fault(2, 10, 28, 0.1), "glyphs: count = 2 must be from 3 to 1000000");
    assert_eq!(fault(100, 1, 28, 0.1), "glyphs: classes = 1 must be from 2 to 64");
    assert_eq!(fault(100, 10, 4096, 0.1), "glyphs: size = 4096 must be from 8 to 128");
    assert_eq!(fault(100, 10, 28, f64::NAN), "glyphs: noise = NaN must be from 0 to 2");
}

#[test]
fn images_without_contrast_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    std::fs::write(&images, idx(&[10, 2, 2], &[9; 40])).unwrap();
    std::fs::write(&labels, idx(&[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])).unwrap();
    assert!(matches!(load(&Data::Idx { images, labels }, SPLIT, Seed(0)), Err(DataFault::Constant)));
}

/// The folder of real data; `None`, loudly, where there is none.
pub(crate) fn real_data() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("HPO_DATA_DIR").map_or_else(default, PathBuf::from);
    if folder.join("mnist-10k").is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("HPO_REQUIRE_DATA").as_deref() != Ok("1"), "HPO_REQUIRE_DATA=1, but {} has no mnist-10k", folder.display());
    eprintln!("SKIPPED: no mnist-10k in {}; set HPO_DATA_DIR", folder.display());
    None
}

/// MNIST-10k as a job names it.
pub(crate) fn mnist(folder: &Path) -> Data {
    let folder = folder.join("mnist-10k");
    Data::Idx { images: folder.join("t10k-images-idx3-ubyte.gz"), labels: folder.join("t10k-labels-idx1-ubyte.gz") }
}

#[test]
fn mnist_is_read() {
    let Some(folder) = real_data() else { return };
    let data = load(&mnist(&folder), SPLIT, Seed(7)).unwrap();
    assert_eq!((data.card.input, data.card.classes), ([1, 28, 28], 10));
    assert_eq!([data.train.len(), data.validation.len(), data.test.len()], [8000, 1000, 1000]);
    assert!((data.card.scaling.mean - 0.13).abs() < 0.01 && (data.card.scaling.sd - 0.31).abs() < 0.01, "{:?}", data.card.scaling);
}
