"""Networks that predict the columns of a row one after another, and models made of them."""
