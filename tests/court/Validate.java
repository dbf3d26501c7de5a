import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.apache.pdfbox.cos.COSArray;
import org.apache.pdfbox.cos.COSBase;
import org.apache.pdfbox.cos.COSDictionary;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.cos.COSString;
import org.apache.pdfbox.io.MemoryUsageSetting;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1String;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSTypedData;
import org.bouncycastle.cms.SignerId;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.DefaultAlgorithmNameFinder;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.util.CollectionStore;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;
import org.bouncycastle.util.encoders.Hex;

/**
 * What PDFBox and Bouncy Castle say of sealed files: nothing here is ours but the questions.
 *
 * <p>One line in, "root.pem TAB file.pdf"; one line of JSON out. PDFBox does not look whether the
 * ByteRange covers the file, so that is asked of the file itself. Bouncy Castle is named as the
 * provider, because Java's own knows no brainpool curve.
 */
public final class Validate {
  private static final JcaX509CertificateConverter CONVERTER =
      new JcaX509CertificateConverter().setProvider("BC");
  private static final DateTimeFormatter TIMES =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSxxx").withZone(ZoneOffset.UTC);
  private static final DefaultAlgorithmNameFinder DIGESTS = new DefaultAlgorithmNameFinder();

  /** What there is to say of one file; the words are the keys of the JSON. */
  private static final class Opinion {
    boolean intact;
    boolean whole;
    boolean trusted;
    String digest = "";
    String signer = "";
    String permissions = "";
    String stamp = "";
    final List<String> complaints = new ArrayList<>();

    boolean ask(boolean holds, String complaint) {
      if (!holds) {
        complaints.add(complaint);
      }
      return holds;
    }

    String json() {
      StringBuilder text = new StringBuilder("{");
      text.append("\"intact\":").append(intact);
      text.append(",\"whole\":").append(whole);
      text.append(",\"trusted\":").append(trusted);
      text.append(",\"digest\":").append(quoted(digest));
      text.append(",\"signer\":").append(quoted(signer));
      text.append(",\"permissions\":").append(quoted(permissions));
      text.append(",\"stamp\":").append(quoted(stamp));
      text.append(",\"complaints\":[");
      for (int i = 0; i < complaints.size(); i++) {
        text.append(i == 0 ? "" : ",").append(quoted(complaints.get(i)));
      }
      return text.append("]}").toString();
    }
  }

  /** The bytes that a ByteRange names, streamed from the file. */
  private static final class Ranges implements CMSTypedData {
    private final Path file;
    private final int[] range;

    Ranges(Path file, int[] range) {
      this.file = file;
      this.range = range;
    }

    @Override
    public ASN1ObjectIdentifier getContentType() {
      return CMSObjectIdentifiers.data;
    }

    @Override
    public Object getContent() {
      return file;
    }

    @Override
    public void write(OutputStream out) throws IOException {
      byte[] block = new byte[1 << 20];
      try (RandomAccessFile source = new RandomAccessFile(file.toFile(), "r")) {
        for (int i = 0; i < range.length; i += 2) {
          source.seek(range[i]);
          for (int left = range[i + 1]; left > 0; ) {
            int got = source.read(block, 0, Math.min(left, block.length));
            if (got < 0) {
              throw new IOException("the ByteRange ends behind the file");
            }
            out.write(block, 0, got);
            left -= got;
          }
        }
      }
    }
  }

  private Validate() {}

  /** Answers until the pipe is closed. */
  public static void main(String[] arguments) throws IOException {
    Security.addProvider(new BouncyCastleProvider());
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    BufferedReader questions =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      String[] words = line.split("\t", 2);
      Opinion opinion = new Opinion();
      try {
        judge(Path.of(words[0]), Path.of(words[1]), opinion);
      } catch (Exception | StackOverflowError e) {
        // Whatever it throws is its verdict; "a changed content is an exception, not false".
        opinion.complaints.add(e.toString());
      }
      answers.println(opinion.json());
    }
  }

  private static void judge(Path root, Path file, Opinion opinion) throws Exception {
    PDSignature signature;
    byte[] contents;
    try (PDDocument document =
        PDDocument.load(new File(file.toString()), MemoryUsageSetting.setupTempFileOnly())) {
      List<PDSignature> found = document.getSignatureDictionaries();
      if (!opinion.ask(found.size() == 1, found.size() + " signatures")) {
        return;
      }
      signature = found.get(0);
      contents = ((COSString)
          signature.getCOSObject().getDictionaryObject(COSName.CONTENTS)).getBytes();
      opinion.permissions = permissions(document, signature);
    }
    int[] range = signature.getByteRange();
    opinion.whole = opinion.ask(coversAllButTheGap(file, range, contents), "not the whole file");
    opinion.ask("ETSI.CAdES.detached".equals(signature.getSubFilter()), "no PAdES");

    CMSSignedData cms = read(contents, new Ranges(file, range), opinion);
    Collection<SignerInformation> signers = cms.getSignerInfos().getSigners();
    if (!opinion.ask(signers.size() == 1, signers.size() + " signers")) {
      return;
    }
    SignerInformation signer = signers.iterator().next();
    X509CertificateHolder holder = certificateOf(cms.getCertificates(), signer.getSID());
    X509Certificate certificate = CONVERTER.getCertificate(holder);
    opinion.signer =
        ((ASN1String) holder.getSubject().getRDNs(BCStyle.CN)[0].getFirst().getValue())
            .getString();
    String digest = DIGESTS.getAlgorithmName(signer.getDigestAlgorithmID());
    opinion.digest = digest.replaceFirst("^SHA(?=\\d)", "SHA-");

    opinion.ask(signer.getContentType().equals(CMSObjectIdentifiers.data), "not of data");
    opinion.ask(names(signer.getSignedAttributes(), certificate), "another certificate is named");
    boolean verified =
        signer.verify(
            new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate));
    opinion.intact = opinion.ask(verified, "the signature does not verify");

    X509Certificate anchor = certificateIn(root);
    Date at = stamped(signer, anchor, cms.getCertificates(), opinion);
    opinion.trusted = chains(certificate, cms.getCertificates(), anchor, at, opinion);
  }

  /** What DocMDP allows (ISO 32000-1, 12.8.2.2), "" without a certification. */
  private static String permissions(PDDocument document, PDSignature signature) {
    COSDictionary catalog = document.getDocumentCatalog().getCOSObject();
    COSBase perms = catalog.getDictionaryObject(COSName.getPDFName("Perms"));
    if (!(perms instanceof COSDictionary)) {
      return "";
    }
    COSBase certifying = ((COSDictionary) perms).getDictionaryObject(COSName.getPDFName("DocMDP"));
    if (certifying != signature.getCOSObject()) {
      return "another signature's";
    }
    COSBase references = signature.getCOSObject().getDictionaryObject(COSName.getPDFName("Reference"));
    if (references instanceof COSArray) {
      for (int i = 0; i < ((COSArray) references).size(); i++) {
        COSBase one = ((COSArray) references).getObject(i);
        if (one instanceof COSDictionary
            && "DocMDP".equals(((COSDictionary) one).getNameAsString("TransformMethod"))) {
          COSBase parameters =
              ((COSDictionary) one).getDictionaryObject(COSName.getPDFName("TransformParams"));
          int level =
              parameters instanceof COSDictionary ? ((COSDictionary) parameters).getInt("P", 2) : 2;
          return Integer.toString(level);
        }
      }
    }
    return "a certification without its reference";
  }

  private static boolean coversAllButTheGap(Path file, int[] range, byte[] contents)
      throws IOException {
    long size = Files.size(file);
    if (range == null
        || range.length != 4
        || range[0] != 0
        || range[1] <= 0
        || range[2] <= range[1]
        || (long) range[2] + range[3] != size
        || range[2] - range[1] != 2 * contents.length + 2) {
      return false;
    }
    byte[] gap = new byte[range[2] - range[1]];
    try (RandomAccessFile source = new RandomAccessFile(file.toFile(), "r")) {
      source.seek(range[1]);
      source.readFully(gap);
    }
    if (gap[0] != '<' || gap[gap.length - 1] != '>') {
      return false;
    }
    String digits = new String(gap, 1, gap.length - 2, StandardCharsets.US_ASCII);
    return Arrays.equals(Hex.decode(digits), contents);
  }

  /** The CMS; behind it the gap is filled with zeros, and nothing else. */
  private static CMSSignedData read(byte[] contents, CMSTypedData content, Opinion opinion)
      throws Exception {
    try (ASN1InputStream in = new ASN1InputStream(contents)) {
      ContentInfo info = ContentInfo.getInstance(in.readObject());
      int end = contents.length - in.available();
      boolean zeros = true;
      for (int i = end; i < contents.length; i++) {
        zeros &= contents[i] == 0;
      }
      opinion.ask(zeros, "something stands behind the CMS");
      return new CMSSignedData(content, info);
    }
  }

  /** Whether the signed attributes name this certificate (RFC 5035, signing-certificate-v2). */
  private static boolean names(AttributeTable signed, X509Certificate certificate)
      throws Exception {
    Attribute named = signed == null ? null : signed.get(PKCSObjectIdentifiers.id_aa_signingCertificateV2);
    if (named == null || named.getAttrValues().size() != 1) {
      return false;
    }
    ESSCertIDv2 first =
        SigningCertificateV2.getInstance(named.getAttrValues().getObjectAt(0)).getCerts()[0];
    MessageDigest digest =
        MessageDigest.getInstance(first.getHashAlgorithm().getAlgorithm().getId(), "BC");
    boolean serial =
        first.getIssuerSerial() == null
            || first.getIssuerSerial().getSerial().getValue().equals(certificate.getSerialNumber());
    return serial
        && MessageDigest.isEqual(first.getCertHash(), digest.digest(certificate.getEncoded()));
  }

  /** The time of the time-stamp token in the signature, verified; now, if there is none. */
  private static Date stamped(
      SignerInformation signer,
      X509Certificate anchor,
      Store<X509CertificateHolder> more,
      Opinion opinion)
      throws Exception {
    AttributeTable unsigned = signer.getUnsignedAttributes();
    Attribute found =
        unsigned == null ? null : unsigned.get(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken);
    if (found == null) {
      return new Date();
    }
    TimeStampToken token =
        new TimeStampToken(ContentInfo.getInstance(found.getAttrValues().getObjectAt(0)));
    String algorithm = token.getTimeStampInfo().getMessageImprintAlgOID().getId();
    byte[] imprint = MessageDigest.getInstance(algorithm, "BC").digest(signer.getSignature());
    boolean ours =
        opinion.ask(
            MessageDigest.isEqual(imprint, token.getTimeStampInfo().getMessageImprintDigest()),
            "the token is of another signature");
    X509CertificateHolder holder = certificateOf(token.getCertificates(), token.getSID());
    X509Certificate certificate = CONVERTER.getCertificate(holder);
    // Throws if it does not verify, or if the certificate is not for time stamping (RFC 3161, 2.3).
    token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate));
    List<String> usage = certificate.getExtendedKeyUsage();
    opinion.ask(
        usage != null && usage.contains(KeyPurposeId.id_kp_timeStamping.getId()),
        "no certificate of a time-stamp authority");
    Date at = token.getTimeStampInfo().getGenTime();
    List<X509CertificateHolder> all = new ArrayList<>(token.getCertificates().getMatches(null));
    all.addAll(more.getMatches(null));
    boolean chained =
        chains(certificate, new CollectionStore<>(all), anchor, at, opinion);
    opinion.stamp = ours && chained ? TIMES.format(at.toInstant()) : "not trusted";
    return at;
  }

  private static boolean chains(
      X509Certificate certificate,
      Store<X509CertificateHolder> store,
      X509Certificate anchor,
      Date at,
      Opinion opinion)
      throws Exception {
    List<X509Certificate> more = new ArrayList<>();
    for (X509CertificateHolder one : store.getMatches(null)) {
      more.add(CONVERTER.getCertificate(one));
    }
    X509CertSelector wanted = new X509CertSelector();
    wanted.setCertificate(certificate);
    PKIXBuilderParameters parameters =
        new PKIXBuilderParameters(Set.of(new TrustAnchor(anchor, null)), wanted);
    parameters.addCertStore(
        CertStore.getInstance("Collection", new CollectionCertStoreParameters(more), "BC"));
    parameters.setRevocationEnabled(false);
    parameters.setDate(at);
    try {
      CertPathBuilder.getInstance("PKIX", "BC").build(parameters);
      return true;
    } catch (CertPathBuilderException e) {
      opinion.complaints.add("no chain: " + e.getMessage());
      return false;
    }
  }

  @SuppressWarnings("unchecked") // SignerId is a Selector without a type
  private static X509CertificateHolder certificateOf(
      Store<X509CertificateHolder> store, SignerId wanted) {
    Selector<X509CertificateHolder> selector = wanted;
    return store.getMatches(selector).iterator().next();
  }

  private static X509Certificate certificateIn(Path pem) {
    try (var in = Files.newInputStream(pem)) {
      return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < 32 || c > 126) {
        quoted.append(String.format("\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
