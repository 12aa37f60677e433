this is not a fit
