//! Tensors on their way into the engine and out of it.

use crate::error::Error;
use domain::inference::{Datatype, Tensor, TensorData, TensorSpec};
use ort::{
    session::SessionInputValue,
    value::{
        DynValue, Outlet, PrimitiveTensorElementType, Tensor as OwnedTensor, TensorElementType, TensorRef, ValueType,
    },
};

/// What the engine says of an input or output.
pub(crate) fn spec(kind: &str, outlet: &Outlet) -> Result<TensorSpec, Error> {
    let name = outlet.name();
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let datatype = datatype(*ty).ok_or_else(|| {
                Error::Model(format!(
                    "{kind} \"{name}\" is of type {ty}, which requests cannot carry; export the model with float32."
                ))
            })?;
            Ok(TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() })
        }
        ValueType::Sequence(_) | ValueType::Map { .. } => Err(Error::Model(format!(
            "{kind} \"{name}\" is not a tensor but a sequence or map; export the model with zipmap=False: \
             to_onnx(model, X, options={{\"zipmap\": False}})."
        ))),
        ValueType::Optional(_) => Err(Error::Model(format!(
            "{kind} \"{name}\" is optional, which requests cannot carry; export the model without it."
        ))),
    }
}

fn datatype(element: TensorElementType) -> Option<Datatype> {
    Some(match element {
        TensorElementType::Bool => Datatype::Bool,
        TensorElementType::Int8 => Datatype::Int8,
        TensorElementType::Int16 => Datatype::Int16,
        TensorElementType::Int32 => Datatype::Int32,
        TensorElementType::Int64 => Datatype::Int64,
        TensorElementType::Uint8 => Datatype::Uint8,
        TensorElementType::Uint16 => Datatype::Uint16,
        TensorElementType::Uint32 => Datatype::Uint32,
        TensorElementType::Uint64 => Datatype::Uint64,
        TensorElementType::Float32 => Datatype::Fp32,
        TensorElementType::Float64 => Datatype::Fp64,
        TensorElementType::String => Datatype::Bytes,
        _ => return None,
    })
}

/// The tensor as the engine takes it. Numbers are not copied.
pub(crate) fn to_engine(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    fn borrowed<'a, T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
        shape: &[usize],
        values: &'a [T],
    ) -> ort::Result<SessionInputValue<'a>> {
        Ok(TensorRef::from_array_view((shape.to_vec(), values))?.into())
    }
    let shape = &tensor.shape;
    match &tensor.data {
        TensorData::Bool(values) => borrowed(shape, values),
        TensorData::Int8(values) => borrowed(shape, values),
        TensorData::Int16(values) => borrowed(shape, values),
        TensorData::Int32(values) => borrowed(shape, values),
        TensorData::Int64(values) => borrowed(shape, values),
        TensorData::Uint8(values) => borrowed(shape, values),
        TensorData::Uint16(values) => borrowed(shape, values),
        TensorData::Uint32(values) => borrowed(shape, values),
        TensorData::Uint64(values) => borrowed(shape, values),
        TensorData::Fp32(values) => borrowed(shape, values),
        TensorData::Fp64(values) => borrowed(shape, values),
        TensorData::Bytes(values) => Ok(OwnedTensor::from_string_array((shape.clone(), values.as_slice()))?.into()),
    }
}

/// What the engine gave for the output of this name and type.
pub(crate) fn from_engine(name: &str, datatype: Datatype, value: &DynValue) -> ort::Result<Tensor> {
    fn copied<T: PrimitiveTensorElementType + Clone>(value: &DynValue) -> ort::Result<(Vec<i64>, Vec<T>)> {
        let (shape, values) = value.try_extract_tensor::<T>()?;
        Ok((shape.to_vec(), values.to_vec()))
    }
    macro_rules! copy {
        ($variant:ident) => {{
            let (shape, values) = copied(value)?;
            (shape, TensorData::$variant(values))
        }};
    }
    let (shape, data) = match datatype {
        Datatype::Bool => copy!(Bool),
        Datatype::Int8 => copy!(Int8),
        Datatype::Int16 => copy!(Int16),
        Datatype::Int32 => copy!(Int32),
        Datatype::Int64 => copy!(Int64),
        Datatype::Uint8 => copy!(Uint8),
        Datatype::Uint16 => copy!(Uint16),
        Datatype::Uint32 => copy!(Uint32),
        Datatype::Uint64 => copy!(Uint64),
        Datatype::Fp32 => copy!(Fp32),
        Datatype::Fp64 => copy!(Fp64),
        Datatype::Bytes => {
            let (shape, values) = value.try_extract_strings()?;
            (shape.to_vec(), TensorData::Bytes(values))
        }
    };
    let shape = shape.into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect();
    Ok(Tensor { name: name.to_owned(), shape, data })
}
