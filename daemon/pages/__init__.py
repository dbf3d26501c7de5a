"""What runs in a page worker: the only code that parses what a scanner wrote (I10).

    inspect      opens a PDF, and says why it cannot be read for sure
      trees             pages, fields, bookmarks, names: no circles, not too deep
      revisions         which object counts, where a file says so more than once
      holdings          what it holds beside its pages; policy: what the profile says to that
      symbols           images coded with symbols, in any place; jbig2 reads their segments
    remarks      what a person should know of the pages, gathered while they are prepared
      drawn             what a page of a PDF draws; sample: what an image's dictionary says
      ink               whether an image shows anything
    cover        the page that stands for a scan; covered: a sealed one against what is known
    rewrite      a PDF: one pass of qpdf, with signature, form and note added
    wrap         images: one page each, their streams carried over (I11)
      jpeg, png, jp2    what each of them can carry
      tiff              the same for each of its images: ifd reads the directories, layout what
                        they say; fax, packed and tiffjpeg carry strips, and join them
      frames            pixels, where no stream can be carried
      picture, writer   a page's image as a value; the PDF around it
    signature    the empty signature, as both of them write it
    packet       the transfer note as XMP, beside what the packet already said
    placeholder  where the signature's gap came to lie
    sealed       what a sealed file says about its own signature
    graphs       a sealed PDF against its original, object by object
    sidecar      what the file beside a scan says; filename: what the scan's own name says
    shown        a wrapped image against its original: page shows, pixels compares
      strips            the same for a TIFF; decoded: what a carried stream decodes to

`graphs`, `shown`, `strips`, `decoded`, `page` and `pixels` share no code with what they check, but for what the file
formats themselves say. `daemon.prepare` is the face of all this.
"""
