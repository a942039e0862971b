"""``python -m training_service`` becomes the ``train`` command."""

import sys

from training_service.cli.main import main

sys.exit(main())
