//! Is this a model as `hpo` writes them? Looks at the decoded protobuf alone: nothing is run.
//!
//! It is also the guard before any runtime sees a file: a runtime may abort the process on a graph that names a value
//! nobody makes, or on a tensor whose bytes do not fit its shape.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto};
use super::{IR_VERSION, OPSET};

/// Numbers in a row of an input or output: sizes multiply without overflow, and memory ends far below.
const MOST_CELLS: u64 = 1 << 32;

/// One axis of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    /// So many.
    Size(u64),
    /// Any number; equal names are equal numbers.
    Any(String),
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Element type; only `f32`.
    pub dtype: String,
    /// The batch, then a row's axes.
    pub shape: Vec<Axis>,
}

impl Port {
    /// The fixed axes: a row's shape.
    #[must_use]
    pub fn row(&self) -> Vec<usize> {
        self.shape.iter().filter_map(|axis| if let Axis::Size(size) = axis { usize::try_from(*size).ok() } else { None }).collect()
    }
}

/// What goes in and out of a checked model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// f32, a batch of rows.
    pub input: Port,
    /// f32, a row of logits for each row.
    pub output: Port,
}

/// What is wrong with a model. The file is damaged or was not written by `hpo`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckFault {
    /// There is no graph in it.
    #[error("the model has no graph")]
    NoGraph,
    /// Another IR version.
    #[error("the model's IR version is {found}, not {IR_VERSION}")]
    IrVersion {
        /// What it says.
        found: i64,
    },
    /// Another operator set, none, or several.
    #[error("the model's operator sets are {found}, not ONNX {OPSET} alone")]
    Opset {
        /// What it says.
        found: String,
    },
    /// A node of an operator set that no runtime has by itself.
    #[error("node `{node}` is of the operator domain `{domain}`, which not every runtime has")]
    Domain {
        /// Its name.
        node: String,
        /// Its domain.
        domain: String,
    },
    /// A node with a graph inside, whose names are not checked here.
    #[error("node `{node}` holds a graph of its own, which no model of ours does")]
    Subgraph {
        /// Its name.
        node: String,
    },
    /// Two things of one name.
    #[error("two {what}s are named `{name}`")]
    Duplicate {
        /// `value` or `node`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A node reads what is neither an input, nor an initializer, nor made by a node before it.
    #[error("node `{node}` reads `{input}`, which nothing before it makes")]
    Dangling {
        /// Its name.
        node: String,
        /// What it reads.
        input: String,
    },
    /// Nothing makes the output.
    #[error("nothing makes the output `{name}`")]
    NoOutput {
        /// Its name.
        name: String,
    },
    /// Not one input and one output.
    #[error("the model has {inputs} inputs and {outputs} outputs, not one of each")]
    Ports {
        /// Inputs that are no initializers.
        inputs: usize,
        /// Outputs.
        outputs: usize,
    },
    /// An input or output that is no f32 tensor with a symbolic first axis and fixed others.
    #[error("`{name}` is no f32 tensor of any number of rows of a fixed shape")]
    Port {
        /// Its name.
        name: String,
    },
    /// The batch of the output is not the input's.
    #[error("the output's batch `{output}` is not the input's `{input}`")]
    Batch {
        /// Name of the input's first axis.
        input: String,
        /// Name of the output's first axis.
        output: String,
    },
    /// An initializer of a type that we do not write.
    #[error("initializer `{name}` has element type {data_type}; ours are f32 and i64")]
    ElementType {
        /// Its name.
        name: String,
        /// ONNX's number of the type.
        data_type: i32,
    },
    /// An initializer whose values are not in the model.
    #[error("initializer `{name}` holds {found} bytes; its shape needs {wanted}")]
    Size {
        /// Its name.
        name: String,
        /// Bytes in the model.
        found: usize,
        /// What its shape says, or "more than fit" as the largest number.
        wanted: u64,
    },
}

/// Looks the whole model over.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(model: &ModelProto) -> Result<Interface, CheckFault> {
    if model.ir_version() != IR_VERSION {
        return Err(CheckFault::IrVersion { found: model.ir_version() });
    }
    opset(model)?;
    let graph = model.graph.as_ref().ok_or(CheckFault::NoGraph)?;
    let mut values = BTreeSet::new();
    for tensor in &graph.initializer {
        initializer(tensor)?;
        claim(&mut values, "value", tensor.name())?;
    }
    for input in &graph.input {
        claim(&mut values, "value", input.name())?;
    }
    nodes(graph, &mut values)?;
    for output in &graph.output {
        if !values.contains(output.name()) {
            return Err(CheckFault::NoOutput { name: output.name().to_owned() });
        }
    }
    let ([input], [output]) = (graph.input.as_slice(), graph.output.as_slice()) else {
        return Err(CheckFault::Ports { inputs: graph.input.len(), outputs: graph.output.len() });
    };
    let (input, output) = (port(input)?, port(output)?);
    match (&input.shape[0], &output.shape[0]) {
        (Axis::Any(a), Axis::Any(b)) if a != b => Err(CheckFault::Batch { input: a.clone(), output: b.clone() }),
        _ => Ok(Interface { input, output }),
    }
}

/// The default domain has two names.
fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn opset(model: &ModelProto) -> Result<(), CheckFault> {
    match model.opset_import.as_slice() {
        [only] if is_onnx(only.domain()) && only.version() == OPSET => Ok(()),
        sets => {
            let name = |domain: &str| if is_onnx(domain) { "ONNX".to_owned() } else { domain.to_owned() };
            let found: Vec<_> = sets.iter().map(|set| format!("{} {}", name(set.domain()), set.version())).collect();
            Err(CheckFault::Opset { found: if found.is_empty() { "none".to_owned() } else { found.join(", ") } })
        }
    }
}

fn claim<'a>(names: &mut BTreeSet<&'a str>, what: &'static str, name: &'a str) -> Result<(), CheckFault> {
    if names.insert(name) { Ok(()) } else { Err(CheckFault::Duplicate { what, name: name.to_owned() }) }
}

/// Follows the nodes in their order, which must be one in which they can run. `values` holds what there is before the
/// first, and gains what each makes.
fn nodes<'a>(graph: &'a GraphProto, values: &mut BTreeSet<&'a str>) -> Result<(), CheckFault> {
    let mut names = BTreeSet::new();
    for node in &graph.node {
        domain(node)?;
        claim(&mut names, "node", node.name())?;
        // an optional input that is left out has no name
        if let Some(input) = node.input.iter().find(|input| !input.is_empty() && !values.contains(input.as_str())) {
            return Err(CheckFault::Dangling { node: node.name().to_owned(), input: input.clone() });
        }
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            claim(values, "value", output)?;
        }
    }
    Ok(())
}

fn domain(node: &NodeProto) -> Result<(), CheckFault> {
    if !is_onnx(node.domain()) {
        return Err(CheckFault::Domain { node: node.name().to_owned(), domain: node.domain().to_owned() });
    }
    if node.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty()) {
        return Err(CheckFault::Subgraph { node: node.name().to_owned() });
    }
    Ok(())
}

fn initializer(tensor: &TensorProto) -> Result<(), CheckFault> {
    let bytes: u64 = match tensor_proto::DataType::try_from(tensor.data_type()) {
        Ok(tensor_proto::DataType::Float) => 4,
        Ok(tensor_proto::DataType::Int64) => 8,
        _ => return Err(CheckFault::ElementType { name: tensor.name().to_owned(), data_type: tensor.data_type() }),
    };
    let wanted = tensor.dims.iter().try_fold(bytes, |size, &axis| size.checked_mul(u64::try_from(axis).ok()?)).unwrap_or(u64::MAX);
    let found = tensor.raw_data().len();
    if found as u64 == wanted { Ok(()) } else { Err(CheckFault::Size { name: tensor.name().to_owned(), found, wanted }) }
}

fn port(info: &ValueInfoProto) -> Result<Port, CheckFault> {
    let fault = || CheckFault::Port { name: info.name().to_owned() };
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(fault());
    };
    let shape: Vec<Axis> = tensor.shape.iter().flat_map(|shape| &shape.dim).map(axis).collect::<Option<_>>().ok_or_else(fault)?;
    let cells = shape.iter().try_fold(1_u64, |cells, axis| cells.checked_mul(if let Axis::Size(size) = axis { *size } else { 1 }));
    let rows_of_fixed_shape =
        matches!(shape.as_slice(), [Axis::Any(_), row @ ..] if !row.is_empty() && row.iter().all(|axis| matches!(axis, Axis::Size(_))));
    let bounded = cells.is_some_and(|cells| cells <= MOST_CELLS);
    if tensor.elem_type() != tensor_proto::DataType::Float as i32 || !rows_of_fixed_shape || !bounded {
        return Err(fault());
    }
    Ok(Port { name: info.name().to_owned(), dtype: "f32".to_owned(), shape })
}

fn axis(dimension: &tensor_shape_proto::Dimension) -> Option<Axis> {
    match dimension.value.as_ref()? {
        tensor_shape_proto::dimension::Value::DimValue(size) => u64::try_from(*size).ok().filter(|size| *size > 0).map(Axis::Size),
        tensor_shape_proto::dimension::Value::DimParam(name) => Some(Axis::Any(name.clone())).filter(|_| !name.is_empty()),
    }
}
