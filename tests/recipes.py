"""Install the libraries of recipes.txt, one by one, and name those that are left out here."""
from __future__ import print_function

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

with open(os.path.join(HERE, "recipes.txt")) as lines:
    requirements = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
for requirement in requirements:
    command = [sys.executable, "-m", "pip", "install", "-q", requirement]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode != 0:
        print(output)
        print("left out: %s" % re.match("[A-Za-z0-9]+", requirement).group())
