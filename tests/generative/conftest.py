"""What tests of generators share."""

import torch

torch.set_num_threads(1)  # a second one makes small networks slow while another test uses the core
