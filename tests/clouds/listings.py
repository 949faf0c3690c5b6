"""Pages of a listing as S3 writes them, and Google's XML interface too."""

from xml.sax.saxutils import escape

from tests.clouds.serving import etag

STAMP = "2026-01-01T00:00:00.000Z"


def s3_listing(cloud, query):
    """What `list-type=2` answers; `query` by name, with lists of values."""
    prefix = query.get("prefix", [""])[0]
    after = query.get("continuation-token", query.get("start-after", [""]))[0]
    found = sorted(k for k in cloud.objects if k.startswith(prefix) and k > after)
    page, more = found[: cloud.page_size], found[cloud.page_size :]
    contents = "".join(
        f"<Contents><Key>{escape(k)}</Key><LastModified>{STAMP}</LastModified><ETag>{escape(etag(cloud.objects[k]))}</ETag>"
        f"<Size>{len(cloud.objects[k])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for k in page
    )
    following = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    return (
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{cloud.bucket}</Name>'
        f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{following}{contents}</ListBucketResult>"
    ).encode()
