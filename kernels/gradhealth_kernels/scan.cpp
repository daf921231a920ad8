// The scan of scan.py in C++: one pass over the parameters that makes no Python object for a gradient.
#include <ATen/ATen.h>
#include <Python.h>
#include <torch/csrc/autograd/python_variable.h>

#include <algorithm>
#include <exception>

namespace {

struct Row {
  int64_t address, elements, kind;
};
constexpr Row kAbsent{0, 0, 0}, kUnusual{-1, -1, -1};

Row row_of(const at::Tensor& gradient) {
  if (!gradient.defined()) {
    return kAbsent;
  }
  const auto type = gradient.scalar_type();
  const bool wide = type == at::kFloat || type == at::kBFloat16 || type == at::kHalf || type == at::kDouble;
  // A tensor that keeps its elements elsewhere has the Python key; its class need not be looked at.
  if (gradient.unsafeGetTensorImpl()->is_python_dispatch() || gradient.layout() != at::kStrided || !wide ||
      !gradient.has_storage() || gradient.is_neg() || !gradient.is_non_overlapping_and_dense()) {
    return kUnusual;
  }
  const auto device = gradient.device();
  const auto address = reinterpret_cast<int64_t>(gradient.const_data_ptr());
  const auto elements = gradient.numel();
  if (address % static_cast<int64_t>(gradient.element_size()) != 0 || (address == 0 && elements != 0) ||
      device.is_meta()) {
    return kUnusual;
  }
  // Never 0, which is an absent gradient's.
  const int64_t kind = 1 + static_cast<int64_t>(type) + (static_cast<int64_t>(device.type()) << 16) +
                       (static_cast<int64_t>(device.index() + 1) << 32);
  return {address, elements, kind};
}

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

constexpr Py_ssize_t kBatch = 32;

// Five pointers lead from a parameter to its gradient's address, each to memory that a training step has pushed out of
// the cache. Followed for a batch side by side, they are waited for once instead of once per parameter.
void prefetch(PyObject** items, Py_ssize_t count) {
  const at::TensorImpl* gradients[kBatch];
  for (Py_ssize_t i = 0; i < count; i++) {
    PREFETCH(items[i]);
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    const auto* parameter = reinterpret_cast<const char*>(THPVariable_Unpack(items[i]).unsafeGetTensorImpl());
    PREFETCH(parameter);
    PREFETCH(parameter + 64);
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    PREFETCH(THPVariable_Unpack(items[i]).unsafeGetTensorImpl()->autograd_meta());
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    gradients[i] = THPVariable_Unpack(items[i]).grad().unsafeGetTensorImpl();
    for (size_t line = 0; line < sizeof(at::TensorImpl); line += 64) {
      PREFETCH(reinterpret_cast<const char*>(gradients[i]) + line);
    }
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    if (gradients[i]->has_storage()) {
      PREFETCH(gradients[i]->unsafe_storage().unsafeGetStorageImpl());
    }
  }
}

// scan(parameters, rows, Tensor, Parameter): compares the gradients with `rows`, int64 [parameter, 3], and writes them
// there. The number of rows that differ; -1 if a gradient is unusual or a parameter is of neither class.
PyObject* scan(PyObject*, PyObject* arguments) {
  PyObject *given, *tensor, *parameter;
  Py_buffer buffer;
  if (!PyArg_ParseTuple(arguments, "Ow*OO", &given, &buffer, &tensor, &parameter)) {
    return nullptr;
  }
  long changed = -1;
  PyObject* parameters = PySequence_Fast(given, "expected a sequence of parameters");
  if (parameters != nullptr) {
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(parameters);
    PyObject** items = PySequence_Fast_ITEMS(parameters);
    Row* rows = static_cast<Row*>(buffer.buf);
    try {
      changed = buffer.len == static_cast<Py_ssize_t>(count * sizeof(Row)) ? 0 : -1;
      for (Py_ssize_t i = 0; i < count && changed >= 0; i++) {
        const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(items[i]));
        changed = type == tensor || type == parameter ? 0 : -1;
      }
      for (Py_ssize_t i = 0; i < count && changed >= 0; i++) {
        if (i % kBatch == 0) {
          prefetch(items + i, std::min(kBatch, count - i));
        }
        const Row row = row_of(THPVariable_Unpack(items[i]).grad());
        if (row.kind < 0) {
          changed = -1;
        } else if (row.address != rows[i].address || row.elements != rows[i].elements || row.kind != rows[i].kind) {
          rows[i] = row;
          changed++;
        }
      }
    } catch (const std::exception&) {
      changed = -1;
    }
    Py_DECREF(parameters);
  }
  PyBuffer_Release(&buffer);
  return PyErr_Occurred() ? nullptr : PyLong_FromLong(changed);
}

PyMethodDef methods[] = {{"scan", scan, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyModuleDef module = {PyModuleDef_HEAD_INIT, "gradhealth_scan", nullptr, -1, methods};

}  // namespace

PyMODINIT_FUNC PyInit_gradhealth_scan() {
  return PyModule_Create(&module);
}
