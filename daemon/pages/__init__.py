"""What runs in a page worker: the only code that parses what a scanner wrote (I10).

    inspect      opens a PDF, and says why it cannot be sealed
    rewrite      a PDF: one pass of qpdf, with signature, form and note added
    wrap         images: one page each, their streams carried over (I11)
      jpeg, png, tiff   what each of them can carry; ifd reads TIFF's directories
      frames            pixels, where no stream can be carried
      picture, writer   a page's image as a value; the PDF around it
    signature    the empty signature, as both of them write it
    packet       the transfer note as XMP, beside what the packet already said
    placeholder  where the signature's gap came to lie
    sealed       what a sealed file says about its own signature
    graphs       a sealed PDF against its original, object by object
    shown        a wrapped image against its original: page shows, pixels compares

`graphs`, `shown`, `page` and `pixels` share no code with what they check, but for what the file
formats themselves say. `daemon.prepare` is the face of all this.
"""
