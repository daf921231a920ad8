"""Which folder is which package; everything else about the distribution stands in ``pyproject.toml``.

``kernels/`` is a folder, not a package: a wheel with a top-level ``kernels`` would overwrite the one of that name on
PyPI, which transformers imports.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["tb_gradhealth", "tb_gradhealth.*"]),
        *find_packages("kernels", include=["gradhealth_kernels", "gradhealth_kernels.*"]),
    ],
    package_dir={"gradhealth_kernels": "kernels/gradhealth_kernels"},
    package_data={
        "tb_gradhealth": ["py.typed"],
        "tb_gradhealth.plugin": ["http_api.md", "static/**/*"],
        "tb_gradhealth.report": ["style.css"],
        "gradhealth_kernels": ["py.typed", "*.cpp"],
    },
    include_package_data=False,
)
