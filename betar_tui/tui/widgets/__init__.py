"""The widgets. Each shows a part of the model it is given and posts messages; none calls the marketplace."""
