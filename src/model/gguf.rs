//! The GGUF container. This module reads metadata and the tensor directory from a memory map, and checks every count
//! and offset.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. The reader borrows from the map, so a
//! vocabulary of 262,144 strings costs one vector of ranges. candle-core has a reader too, but it turns every array
//! element into a 24-byte value, so a file of small integers grows 24-fold in memory. It also divides by an alignment
//! from the file. The quantised blocks themselves are read by candle.

use super::error::{ModelError, Refusal, Result};
use super::recognise;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, ggml_file::qtensor_from_ggml};
use memmap2::Mmap;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: usize = 32;
/// GGML_MAX_DIMS.
const MAX_DIMS: usize = 4;
/// Arrays of arrays are legal in metadata, but no model has them. Deeper nesting is an attack on the stack.
const MAX_DEPTH: usize = 2;

/// One metadata value. Strings are ranges into the file, so nothing is copied until it is needed.
#[derive(Clone, Debug)]
enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(Range<usize>),
    Strings(Vec<Range<usize>>),
    /// Element type, element count, bytes.
    Numbers(u32, usize, Range<usize>),
    /// An array of arrays. It is skipped, because nothing reads one.
    Opaque,
}

/// The place of a tensor in the file, and its format.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// Block format.
    pub dtype: GgmlDType,
    /// Outermost first: `(rows, columns)` for a matrix.
    pub dims: Vec<usize>,
    bytes: Range<usize>,
}

impl TensorInfo {
    /// The number of rows of the matrix; 1 for a vector.
    pub fn rows(&self) -> usize {
        self.dims[..self.dims.len().saturating_sub(1)].iter().product()
    }

    /// The length of a row.
    pub fn columns(&self) -> usize {
        self.dims.last().copied().unwrap_or(0)
    }
}

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

/// A read position that never leaves the file.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Parse<T> = std::result::Result<T, Refusal>;

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Parse<Range<usize>> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("it ends at byte {} inside its header", self.bytes.len()))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self) -> Parse<[u8; N]> {
        let range = self.take(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[range]);
        Ok(out)
    }

    fn u32(&mut self) -> Parse<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A count or length. It is refused if that many elements of at least `least` bytes do not fit into the rest of the
    /// file.
    fn count(&mut self, least: usize, what: &str) -> Parse<usize> {
        let n = u64::from_le_bytes(self.array()?);
        let rest = (self.bytes.len() - self.at) as u64;
        match n.checked_mul(least as u64) {
            Some(needed) if needed <= rest => Ok(n as usize),
            _ => Err(format!("it claims {n} {what}, more than the file can hold").into()),
        }
    }

    fn string(&mut self) -> Parse<Range<usize>> {
        let n = self.count(1, "bytes in a string")?;
        self.take(n)
    }

    fn text(&mut self) -> Parse<String> {
        let range = self.string()?;
        String::from_utf8(self.bytes[range].to_vec()).map_err(|_| "a name in its header is not UTF-8".into())
    }
}

fn scalar_size(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn scalar(kind: u32, b: &[u8]) -> Option<Value> {
    let le = |n: usize| {
        let mut out = [0u8; 8];
        out[..n].copy_from_slice(b.get(..n)?);
        Some(out)
    };
    Some(match kind {
        0 => Value::Unsigned(u64::from_le_bytes(le(1)?)),
        1 => Value::Signed(*b.first()? as i8 as i64),
        2 => Value::Unsigned(u64::from_le_bytes(le(2)?)),
        3 => Value::Signed(u64::from_le_bytes(le(2)?) as u16 as i16 as i64),
        4 => Value::Unsigned(u64::from_le_bytes(le(4)?)),
        5 => Value::Signed(u64::from_le_bytes(le(4)?) as u32 as i32 as i64),
        6 => Value::Float(f32::from_bits(u64::from_le_bytes(le(4)?) as u32) as f64),
        7 => Value::Bool(*b.first()? != 0),
        10 => Value::Unsigned(u64::from_le_bytes(le(8)?)),
        11 => Value::Signed(u64::from_le_bytes(le(8)?) as i64),
        12 => Value::Float(f64::from_bits(u64::from_le_bytes(le(8)?))),
        _ => return None,
    })
}

fn value(cursor: &mut Cursor, kind: u32, depth: usize) -> Parse<Value> {
    match kind {
        8 => Ok(Value::String(cursor.string()?)),
        9 => {
            if depth == MAX_DEPTH {
                return Err("its metadata nests arrays too deeply".into());
            }
            let element = cursor.u32()?;
            match scalar_size(element) {
                Some(size) => {
                    let n = cursor.count(size, "array elements")?;
                    Ok(Value::Numbers(element, n, cursor.take(n * size)?))
                }
                None if element == 8 => {
                    let n = cursor.count(8, "strings")?;
                    (0..n)
                        .map(|_| cursor.string())
                        .collect::<Parse<_>>()
                        .map(Value::Strings)
                }
                None => {
                    let n = cursor.count(12, "arrays")?;
                    for _ in 0..n {
                        value(cursor, element, depth + 1)?;
                    }
                    Ok(Value::Opaque)
                }
            }
        }
        _ => {
            let size = scalar_size(kind).ok_or_else(|| format!("its metadata has a value of unknown type {kind}"))?;
            let range = cursor.take(size)?;
            scalar(kind, &cursor.bytes[range]).ok_or_else(|| "its metadata is cut".into())
        }
    }
}

fn dtype(code: u32) -> Option<GgmlDType> {
    Some(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

struct Header {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

fn header(bytes: &[u8], path: &Path) -> Parse<Header> {
    let mut cursor = Cursor { bytes, at: 0 };
    if !bytes.starts_with(MAGIC) {
        return Err(recognise::not_gguf(path, bytes));
    }
    cursor.take(MAGIC.len())?;
    let version = cursor.u32()?;
    if (1..=3).contains(&version.swap_bytes()) {
        return Err(Refusal::Unsupported(
            "it is written for big-endian machines, which is not read; take a little-endian file".into(),
        ));
    }
    if !(2..=3).contains(&version) {
        return Err(Refusal::Unsupported(format!(
            "its GGUF version is {version}, but only 2 and 3 are read; convert the model again"
        )));
    }
    let tensor_count = cursor.count(24, "tensors")?;
    let metadata_count = cursor.count(13, "metadata entries")?;
    let mut metadata = HashMap::new();
    for _ in 0..metadata_count {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        let value = value(&mut cursor, kind, 0)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("its metadata names {key} twice").into());
        }
    }
    let text = |key: &str| match metadata.get(key) {
        Some(Value::String(range)) => std::str::from_utf8(&bytes[range.clone()]).ok(),
        _ => None,
    };
    let parts = match metadata.get("split.count") {
        Some(Value::Unsigned(parts)) => usize::try_from(*parts).ok(),
        _ => None,
    };
    if let Some(refusal) = recognise::part_of_gguf(path, text("general.type"), parts) {
        return Err(refusal);
    }
    let mut declared = Vec::new();
    for _ in 0..tensor_count {
        let name = cursor.text()?;
        let rank = cursor.u32()? as usize;
        if rank == 0 || rank > MAX_DIMS {
            return Err(format!("the tensor {name} has {rank} dimensions, not 1 to {MAX_DIMS}").into());
        }
        let mut dims = Vec::with_capacity(rank);
        for _ in 0..rank {
            dims.push(u64::from_le_bytes(cursor.array()?));
        }
        dims.reverse();
        let code = cursor.u32()?;
        let offset = u64::from_le_bytes(cursor.array()?);
        declared.push((name, dims, code, offset));
    }
    let alignment = match metadata.get("general.alignment") {
        Some(Value::Unsigned(a)) if a.is_power_of_two() && (8..=1 << 20).contains(a) => *a as usize,
        Some(_) => return Err("its alignment is not a power of two of at least 8".into()),
        None => DEFAULT_ALIGNMENT,
    };
    let data = cursor.at.next_multiple_of(alignment);
    let mut tensors = HashMap::new();
    for (name, dims, code, offset) in declared {
        let dtype = dtype(code).ok_or_else(|| recognise::format_not_read(&name, code))?;
        let info = (|| {
            let dims: Vec<usize> = dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?;
            let elements = dims.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
            let columns = *dims.last()?;
            if elements == 0 || columns % dtype.block_size() != 0 {
                return None;
            }
            let size = (elements / dtype.block_size()).checked_mul(dtype.type_size())?;
            let offset = usize::try_from(offset).ok().filter(|o| o % alignment == 0)?;
            let start = data.checked_add(offset)?;
            let end = start.checked_add(size).filter(|&end| end <= bytes.len())?;
            Some(TensorInfo {
                dtype,
                dims,
                bytes: start..end,
            })
        })();
        let outside = || format!("the tensor {name} does not lie inside the file").into();
        let info = info.ok_or_else(|| recognise::piece_of_gguf(path).unwrap_or_else(outside))?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("it has two tensors named {name}").into());
        }
    }
    // If tensors could share bytes, a small file could unpack to any size.
    let mut ranges: Vec<(&Range<usize>, &String)> = tensors.iter().map(|(name, info)| (&info.bytes, name)).collect();
    ranges.sort_by_key(|(range, _)| range.start);
    if let Some(pair) = ranges.windows(2).find(|pair| pair[1].0.start < pair[0].0.end) {
        return Err(format!("the tensors {} and {} overlap", pair[0].1, pair[1].1).into());
    }
    Ok(Header { metadata, tensors })
}

impl Gguf {
    /// Maps the file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or any count, length, offset or type in its header is impossible.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| ModelError::io(path, e))?;
        let map = super::map_file(&file).map_err(|e| ModelError::io(path, e))?;
        let Header { metadata, tensors } = header(&map, path).map_err(|refusal| refusal.at(path))?;
        Ok(Self {
            path: path.to_owned(),
            map,
            metadata,
            tensors,
        })
    }

    /// The path of the file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn slice(&self, range: &Range<usize>) -> Option<&str> {
        std::str::from_utf8(self.map.get(range.clone())?).ok()
    }

    /// A non-negative integer of the metadata.
    pub fn integer(&self, key: &str) -> Option<usize> {
        match self.metadata.get(key)? {
            Value::Unsigned(v) => usize::try_from(*v).ok(),
            Value::Signed(v) => usize::try_from(*v).ok(),
            _ => None,
        }
    }

    /// A number of the metadata.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key)? {
            Value::Float(v) => Some(*v),
            Value::Unsigned(v) => Some(*v as f64),
            Value::Signed(v) => Some(*v as f64),
            _ => None,
        }
    }

    /// A flag of the metadata.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key)? {
            Value::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// A string of the metadata. None if it is absent or not UTF-8.
    pub fn string(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            Value::String(range) => self.slice(range),
            _ => None,
        }
    }

    /// A list of strings of the metadata.
    pub fn strings(&self, key: &str) -> Option<Vec<&str>> {
        match self.metadata.get(key)? {
            Value::Strings(ranges) => ranges.iter().map(|r| self.slice(r)).collect(),
            _ => None,
        }
    }

    /// A list of numbers of the metadata, of any type.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let Value::Numbers(kind, n, range) = self.metadata.get(key)? else {
            return None;
        };
        let size = scalar_size(*kind)?;
        let mut out = Vec::with_capacity(*n);
        for chunk in self.map.get(range.clone())?.chunks_exact(size) {
            out.push(match scalar(*kind, chunk)? {
                Value::Unsigned(v) => v as f64,
                Value::Signed(v) => v as f64,
                Value::Float(v) => v,
                Value::Bool(v) => f64::from(u8::from(v)),
                _ => return None,
            });
        }
        Some(out)
    }

    /// The total number of weights.
    pub fn parameters(&self) -> u64 {
        self.tensors
            .values()
            .map(|info| info.rows() as u64 * info.columns() as u64)
            .sum()
    }

    /// The place and format of a tensor, if the file has it.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Rows `rows` of a tensor as candle's quantised tensor `(rows, columns)` on a device.
    ///
    /// # Errors
    /// When the rows lie outside the tensor or candle cannot read the block format.
    pub fn rows(&self, info: &TensorInfo, rows: Range<usize>, device: &Device) -> Result<QTensor> {
        let shape = vec![rows.len(), info.columns()];
        let bytes = self.row_bytes(info, rows)?;
        Ok(qtensor_from_ggml(info.dtype, bytes, shape, device)?)
    }

    /// [`Self::rows`], for rows in any order.
    pub fn gather(
        &self,
        info: &TensorInfo,
        rows: impl ExactSizeIterator<Item = usize>,
        device: &Device,
    ) -> Result<QTensor> {
        let shape = vec![rows.len(), info.columns()];
        let mut bytes = Vec::new();
        for row in rows {
            bytes.extend_from_slice(self.row_bytes(info, row..row + 1)?);
        }
        Ok(qtensor_from_ggml(info.dtype, &bytes, shape, device)?)
    }

    fn row_bytes(&self, info: &TensorInfo, rows: Range<usize>) -> Result<&[u8]> {
        let row = info.columns() / info.dtype.block_size() * info.dtype.type_size();
        let range = info.bytes.start + rows.start * row..info.bytes.start + rows.end * row;
        let inside = (rows.end <= info.rows()).then(|| self.map.get(range)).flatten();
        inside.ok_or_else(|| ModelError::malformed(&self.path, "a tensor's rows lie outside the file"))
    }

    /// Tells the system to drop a tensor's pages from resident memory, because they will not be read again.
    pub fn release(&self, info: &TensorInfo) {
        super::release_pages(&self.map, info.bytes.clone());
    }
}
