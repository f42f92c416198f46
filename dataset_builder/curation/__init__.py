"""What people say about images: facets, annotations, exchange with annotation tools, adjudication."""
