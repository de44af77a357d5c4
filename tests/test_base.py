"""The package itself: what importing costs, its errors, and arrays across the border."""

import builtins
import gc
import statistics
import subprocess
import sys

import numpy as np
import pytest

import strop

CODES = ["invalid_argument", "not_found", "already_exists", "corrupt", "unsupported", "failed_precondition", "unavailable",
         "timeout", "cancelled", "io", "internal"]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_import_loads_nothing_heavy():
    loaded = python("import sys, strop; print(*sorted(m for m in sys.modules if '.' not in m))").split()
    assert "strop" in loaded
    assert not {"torch", "pyarrow", "numpy", "openvino", "onnx"} & set(loaded)


def test_import_is_quick():
    """Within 150 ms by itself; three times that here, because a shared machine may be busy."""
    code = "import time; t = time.perf_counter(); import strop; print(time.perf_counter() - t)"
    milliseconds = statistics.median(float(python(code)) for _ in range(5)) * 1000
    print(f"import strop: {milliseconds:.1f} ms")
    assert milliseconds < 450


def test_submodules_are_listed_and_unknown_ones_refused():
    assert {"feed", "tune", "engine", "compress", "watch", "serve", "trial"} <= set(dir(strop))
    with pytest.raises(AttributeError, match="no attribute 'fed'"):
        strop.fed


def test_version_is_that_of_the_command(strop_bin):
    out = subprocess.run([strop_bin / "strop", "--version"], capture_output=True, text=True, check=True).stdout
    assert out == f"strop {strop.__version__}\n"


@pytest.fixture
def bind():
    from strop import _bind_test

    return _bind_test


@pytest.mark.parametrize("number, code", list(enumerate(CODES)))
def test_errors_are_classes_of_their_code(bind, number, code):
    with pytest.raises(strop.Error, match="^x: not that$") as caught:
        bind.raise_error(number, "x: not that")
    assert caught.value.code == code
    assert type(caught.value) is not strop.Error


@pytest.mark.parametrize("name, builtin", [
    ("InvalidArgument", "ValueError"), ("NotFound", "FileNotFoundError"), ("AlreadyExists", "FileExistsError"),
    ("Corrupt", "ValueError"), ("Unsupported", "NotImplementedError"), ("FailedPrecondition", "RuntimeError"),
    ("Unavailable", "ConnectionError"), ("Timeout", "TimeoutError"), ("Io", "OSError"), ("Internal", "RuntimeError")])
def test_errors_are_caught_as_builtins(name, builtin):
    assert issubclass(getattr(strop, name), getattr(builtins, builtin))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int8", "uint16", "int16", "uint32", "int32",
                                   "uint64", "int64", "bool"])
def test_numpy_crosses_without_a_copy(bind, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    back = bind.through_numpy(array)
    assert back.dtype == array.dtype
    assert back.ctypes.data == array.ctypes.data
    np.testing.assert_array_equal(back, array)


def test_arrays_keep_their_memory_alive(bind):
    back = bind.through_numpy(np.full(1000, 7.0))  # the source is dropped here
    gc.collect()
    assert (back == 7).all()
    view = np.asarray(bind.fresh())
    gc.collect()
    np.testing.assert_array_equal(view, [[1, 2, 3], [4, 5, 6]])
    assert view.ctypes.data % 64 == 0


def test_what_is_not_dense_is_copied(bind):
    array = np.arange(24.0).reshape(4, 6)
    for view in (array[:, ::2], array.T):
        np.testing.assert_array_equal(bind.through_numpy(view), view)
    read_only = np.frombuffer(b"abcd", np.uint8)
    assert bind.through_numpy(read_only).ctypes.data == read_only.ctypes.data
    assert bind.through_numpy(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert bind.through_numpy(np.float32(3).reshape(())).shape == ()


def test_dlpack_takes_torch_without_a_copy(bind):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.arange(6, dtype=torch.int64).reshape(2, 3)
    back = torch.from_dlpack(bind.through_dlpack(tensor))
    assert back.data_ptr() == tensor.data_ptr()
    assert torch.equal(back, tensor)


def test_dicts_of_arrays(bind):
    out = bind.through_dict({"a": np.ones(2), "b": np.zeros((1, 2), np.uint8)})
    assert set(out) == {"a", "b"} and out["b"].shape == (1, 2)
    with pytest.raises(strop.InvalidArgument, match="^b: a str is not an array"):
        bind.through_dict({"a": np.ones(2), "b": "x"})


@pytest.mark.parametrize("array", ["x", [1, 2], {}, np.array(["a"])])
def test_what_is_no_array_is_refused(bind, array):
    with pytest.raises(ValueError, match="^x: a .* is not an array in CPU memory"):
        bind.through_numpy(array)


def test_dtypes_that_no_tensor_holds_are_refused(bind):
    with pytest.raises(NotImplementedError, match="float16, 32 or 64"):
        bind.through_numpy(np.ones(2, np.complex64))


def test_no_reference_is_leaked(bind):
    array = np.ones(10)
    before = sys.getrefcount(array)
    for _ in range(100):
        bind.through_numpy(array)
    gc.collect()
    assert sys.getrefcount(array) == before
