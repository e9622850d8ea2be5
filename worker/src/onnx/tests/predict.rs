use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use super::{SHAPE, WIDTH, logits, model, network};
use crate::data::Scaling;
use crate::onnx::{LineFault, ModelFault, NORMALISATION, PredictFault, RowsFault, export, predict};

const SCALING: Scaling = Scaling { mean: 0.25, sd: 0.5 };

/// A folder with a model and the means to put an input beside it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let mut model = model(&network());
        let scaling = serde_json::to_string(&SCALING).unwrap();
        export::label(&mut model, "0.0.0", BTreeMap::from([(NORMALISATION.to_owned(), scaling)]));
        folder.file("model.onnx", &model.encode_to_vec());
        folder
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("model.onnx")
    }

    fn fault(&self, input: &str) -> PredictFault {
        predict(&self.model(), &self.file("input", input.as_bytes())).unwrap_err()
    }
}

/// Three images, [n, channels, height, width].
fn pixels() -> Vec<u8> {
    (0..3 * WIDTH).map(|index| (index * 37 % 256) as u8).collect()
}

/// As IDX keeps images with channels: [n, height, width, channels].
fn idx() -> Vec<u8> {
    let [channels, height, width] = SHAPE;
    let mut bytes = vec![0, 0, 8, 4];
    for size in [3, height, width, channels] {
        bytes.extend((size as u32).to_be_bytes());
    }
    for image in pixels().chunks(WIDTH) {
        bytes.extend((0..height * width).flat_map(|place| (0..channels).map(move |channel| image[channel * height * width + place])));
    }
    bytes
}

fn text(separator: &str, open: &str, close: &str) -> String {
    let row = |row: &[u8]| format!("{open}{}{close}\n", row.iter().map(u8::to_string).collect::<Vec<_>>().join(separator));
    pixels().chunks(WIDTH).map(row).collect()
}

#[test]
fn images_in_any_form_give_the_networks_answer() {
    let folder = Folder::new();
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&idx()).unwrap();
    let names = (0..WIDTH).map(|index| format!("pixel{index}")).collect::<Vec<_>>().join(",");
    let inputs = [
        folder.file("plain.idx", &idx()),
        folder.file("zipped.idx.gz", &zipped.finish().unwrap()),
        folder.file("rows.csv", text(",", "", "").as_bytes()),
        folder.file("named.csv", format!("{names}\n{}\n", text(", ", "", "")).as_bytes()),
        folder.file("rows.jsonl", text(", ", "[", "]").as_bytes()),
    ];
    let rows: Vec<f32> = pixels().into_iter().map(|pixel| SCALING.apply(pixel)).collect();
    let own = logits(&network(), &rows);
    for input in inputs {
        let predictions = predict(&folder.model(), &input).unwrap();
        assert_eq!(predictions.len(), 3, "{}", input.display());
        for (number, (prediction, own)) in predictions.iter().zip(own.rows()).enumerate() {
            assert_eq!((prediction.row, prediction.class), (number, crate::onnx::logits::argmax(own)));
            assert!(prediction.logits.iter().zip(own).all(|(a, b)| (a - b).abs() < 1e-4), "{}", input.display());
            let sum: f64 = own.iter().map(|&logit| f64::from(logit).exp()).sum();
            let probability = f64::from(own[prediction.class]).exp() / sum;
            assert!((prediction.probability - probability).abs() < 1e-4);
        }
    }
}

/// The fault in the line, and which line.
fn line_fault(fault: PredictFault) -> (usize, LineFault) {
    let PredictFault::Rows(RowsFault::Line { line, source, .. }) = fault else { panic!("{fault:?}") };
    (line, source)
}

#[test]
fn bad_images_are_refused_with_their_line() {
    let folder = Folder::new();
    let good = text(",", "", "");
    let (line, fault) = line_fault(folder.fault(&format!("{good}1,2,3\n")));
    assert_eq!(line, 4);
    assert_eq!(fault.to_string(), "it has 3 values; the model takes [2, 6, 8] (channels, height, width): 96 values");
    let (line, fault) = line_fault(folder.fault(&good.replacen("37,", "0.5,", 1)));
    assert_eq!(line, 1);
    assert_eq!(fault.to_string(), "value 2 is `0.5`; pixels are whole numbers from 0 to 255");
    let (line, fault) = line_fault(folder.fault("[0, 256]\n"));
    assert_eq!(line, 1);
    assert_eq!(fault.to_string(), "a line of JSON must be one array of whole numbers from 0 to 255");
    assert!(matches!(folder.fault(""), PredictFault::Rows(RowsFault::Empty { .. })));
    assert!(matches!(folder.fault("a,b\n\n"), PredictFault::Rows(RowsFault::Empty { .. })));
    assert!(matches!(folder.fault("\0\0\u{8}\u{3}"), PredictFault::Rows(RowsFault::Idx(_))));
    let mut small = idx();
    small[11] = 3; // half the height
    small.truncate(20 + 3 * WIDTH / 2);
    let fault = predict(&folder.model(), &folder.file("small.idx", &small)).unwrap_err();
    assert!(matches!(fault, PredictFault::Rows(RowsFault::Shape { .. })), "{fault:?}");
    let fault = predict(&folder.model(), Path::new("absent")).unwrap_err();
    assert!(matches!(fault, PredictFault::Rows(RowsFault::File(_))), "{fault:?}");
}

#[test]
fn a_model_that_is_none_is_refused() {
    let folder = Folder::new();
    let input = folder.file("plain.idx", &idx());
    let model = |bytes: &[u8]| predict(&folder.file("other.onnx", bytes), &input).unwrap_err();
    let whole = std::fs::read(folder.model()).unwrap();
    assert!(matches!(model(&whole[..whole.len() / 2]), PredictFault::Model { .. }));
    assert!(matches!(model(b"GIF89a"), PredictFault::Model { .. }));
    let (mut anonymous, _) = crate::onnx::inspect::decode(&whole).unwrap();
    anonymous.metadata_props.clear();
    assert!(matches!(model(&anonymous.encode_to_vec()), PredictFault::NoNormalisation { .. }));
    let fault = predict(Path::new("absent.onnx"), &input).unwrap_err();
    assert!(matches!(fault, PredictFault::Model { source: ModelFault::File(_), .. }), "{fault:?}");
}
