"""Images of the user's own: a table that names them, and DICOM files made into pictures."""
