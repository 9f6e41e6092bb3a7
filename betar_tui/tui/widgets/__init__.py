"""The widgets. Each shows a part of the model that it is given and posts messages; none calls the marketplace."""
