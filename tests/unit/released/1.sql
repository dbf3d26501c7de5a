BEGIN TRANSACTION;
CREATE TABLE "counter" (
   "hotfolder" TEXT,
   "series" TEXT,
   "state" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "series")
);
CREATE TABLE "delivery" (
   "document" TEXT REFERENCES "document"("id"),
   "target" TEXT,
   "role" TEXT,
   "state" TEXT NOT NULL,
   "parts" TEXT NOT NULL,
   "attempts" INTEGER,
   "due_at" TEXT,
   "code" TEXT,
   "reason" TEXT,
   "step" TEXT NOT NULL,
   "tries" INTEGER NOT NULL,
   "receipts" TEXT,
   "changed_at" TEXT,
   PRIMARY KEY ("document", "target")
);
INSERT INTO "delivery" VALUES('01a20320-adb8-756c-ac76-f5f17656e927','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf", "size": 10, "sha256": "52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650", "reference": "/srv/dms/01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-756c-ac76-f5f17656e927','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "5b428e96084de3d0e2e09ea9858477fb098de346b4611c708b4c8410be478ed6", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf", "size": 10, "sha256": "52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650", "reference": "/srv/archive/01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-756c-ac76-f5f17656e927/manifest.json", "size": 10, "sha256": "5b428e96084de3d0e2e09ea9858477fb098de346b4611c708b4c8410be478ed6", "reference": "/srv/archive/01a20320-adb8-756c-ac76-f5f17656e927/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
CREATE TABLE "document" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "state" TEXT NOT NULL,
   "hotfolder" TEXT,
   "profile" TEXT,
   "kind" TEXT,
   "size" INTEGER NOT NULL,
   "digest" TEXT NOT NULL,
   "captured_at" TEXT,
   "claimed_at" TEXT,
   "changed_at" TEXT,
   "clock" TEXT,
   "code" TEXT NOT NULL,
   "came_from" TEXT,
   "step" TEXT NOT NULL,
   "tries" INTEGER NOT NULL,
   "images" INTEGER,
   "findings" TEXT,
   "sealed" TEXT,
   "sealed_size" INTEGER,
   "note" TEXT,
   "note_size" INTEGER,
   "checked_at" TEXT,
   "sealed_at" TEXT,
   "ledger_hash" TEXT,
   "copy" TEXT DEFAULT '',
   "copy_until" TEXT,
   "superseded_by" TEXT DEFAULT '',
   "resembles" TEXT DEFAULT '',
   "described" TEXT DEFAULT '{}',
   "finding_pages" TEXT DEFAULT '[]',
   "pages_digest" TEXT DEFAULT '',
   "duplicate_of" TEXT DEFAULT '',
   "level" TEXT DEFAULT '',
   "stamp" TEXT DEFAULT '',
   "stamped_at" TEXT,
   "gap" TEXT DEFAULT '',
   "evidence" TEXT DEFAULT '[]',
   "evidence_until" TEXT DEFAULT '',
   "certificate" TEXT DEFAULT '',
   "local" TEXT DEFAULT ''
);
INSERT INTO "document" VALUES('01a20320-a200-7ee0-ae01-9a03d8944f5f','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7e5b-8fe2-24afe5077809','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-7819-9dc6-992bbdfb1a50','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','89bf182adcd834d82042b378d567e20244668768d8114675ef1e2cfb3280f852',10,'80ab8778a62168476a7c2c9350dfa6186e24ae5b05bf6f51c944bdba2cfcc4ff',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','89d49394bf450cc64bbd84a64a64c2af1ff703f3c9a73643f9660297d10d59e8','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-756c-ac76-f5f17656e927','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650',10,'9cd0f16ab3369d7bf6c298aa29e8b05bf30385409f1fd8876fdaae273b8db782',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','109072ee65f48532c5546f8b01928c62e4dbf8bc4bd27bedc85c3674ce94ed27','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7ee0-ae01-9a03d8944f5f','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7ee0-ae01-9a03d8944f5f","event":"claim","personal_hash":"4c34dec2e0df7f4a517ad54e2b4228e3833b403be1293c057717dd7a9b1dc7da","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','0ffc3d85528a65e4fd79c5ce48efc095ee5d198a304e02600bbbdd2e63f30d4f');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7e5b-8fe2-24afe5077809','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7e5b-8fe2-24afe5077809","event":"claim","personal_hash":"20e9e0b76cc786eaa437bdcffa78e7dd4081d7b13e65d3bb2fcd7cca92bcaf08","prev":"0ffc3d85528a65e4fd79c5ce48efc095ee5d198a304e02600bbbdd2e63f30d4f","seq":2,"v":1}','ca61d5dab5ad1ace7bb0c468409e1da2f4367cfbb62733db3758ba8294638b56');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7e5b-8fe2-24afe5077809','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7e5b-8fe2-24afe5077809","event":"refuse","personal_hash":"","prev":"ca61d5dab5ad1ace7bb0c468409e1da2f4367cfbb62733db3758ba8294638b56","seq":3,"v":1}','cf1628c152ec8bb9be7786406a9065254dbb3a2e27d71951a92162587b7c390e');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7819-9dc6-992bbdfb1a50','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-7819-9dc6-992bbdfb1a50","event":"claim","personal_hash":"bb09b0a3b8b9bb039c10d6f60dbdf0cb70d18870315ed8283d715340e130da23","prev":"cf1628c152ec8bb9be7786406a9065254dbb3a2e27d71951a92162587b7c390e","seq":4,"v":1}','89d49394bf450cc64bbd84a64a64c2af1ff703f3c9a73643f9660297d10d59e8');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7819-9dc6-992bbdfb1a50','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"89d49394bf450cc64bbd84a64a64c2af1ff703f3c9a73643f9660297d10d59e8","note_sha256":"80ab8778a62168476a7c2c9350dfa6186e24ae5b05bf6f51c944bdba2cfcc4ff","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"89bf182adcd834d82042b378d567e20244668768d8114675ef1e2cfb3280f852","size":10},"document":"01a20320-a9d0-7819-9dc6-992bbdfb1a50","event":"seal","personal_hash":"","prev":"89d49394bf450cc64bbd84a64a64c2af1ff703f3c9a73643f9660297d10d59e8","seq":5,"v":1}','7d27bbcef03fc66e968fd35b448333c73a2ac17ca4228d0fd8cb547a024826e3');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"claim","personal_hash":"32a0c51bdeb2d1dfcb81e341768fbc69514c22971669aa826f96894ad1eaf5ac","prev":"7d27bbcef03fc66e968fd35b448333c73a2ac17ca4228d0fd8cb547a024826e3","seq":6,"v":1}','109072ee65f48532c5546f8b01928c62e4dbf8bc4bd27bedc85c3674ce94ed27');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"109072ee65f48532c5546f8b01928c62e4dbf8bc4bd27bedc85c3674ce94ed27","note_sha256":"9cd0f16ab3369d7bf6c298aa29e8b05bf30385409f1fd8876fdaae273b8db782","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650","size":10},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"seal","personal_hash":"","prev":"109072ee65f48532c5546f8b01928c62e4dbf8bc4bd27bedc85c3674ce94ed27","seq":7,"v":1}','8037b594d529d0eae5130a4992912c3abde250e59ad09f6732a5acedccb0285e');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650","size":10},{"file":"manifest.json","role":"manifest","sha256":"5b428e96084de3d0e2e09ea9858477fb098de346b4611c708b4c8410be478ed6","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"freeze","personal_hash":"","prev":"8037b594d529d0eae5130a4992912c3abde250e59ad09f6732a5acedccb0285e","seq":8,"v":1}','ce94722a657a03a4c1528dfe01d9a38a615e3344602f50a7c0359e88d7907f96');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"target":"archive"},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"delivery-send","personal_hash":"","prev":"ce94722a657a03a4c1528dfe01d9a38a615e3344602f50a7c0359e88d7907f96","seq":9,"v":1}','3c373138fa41c271f1edf6be7f48ab7e831a2ea24b793d8a0933d56300a1837b');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf","sha256":"52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-756c-ac76-f5f17656e927/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-756c-ac76-f5f17656e927/manifest.json","sha256":"5b428e96084de3d0e2e09ea9858477fb098de346b4611c708b4c8410be478ed6","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"delivery-acknowledge","personal_hash":"","prev":"3c373138fa41c271f1edf6be7f48ab7e831a2ea24b793d8a0933d56300a1837b","seq":10,"v":1}','d610af26337b0733d848c430b48f35e76ace720dab5ac4ceb96efc17b8c28d02');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"target":"dms"},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"delivery-send","personal_hash":"","prev":"d610af26337b0733d848c430b48f35e76ace720dab5ac4ceb96efc17b8c28d02","seq":11,"v":1}','ef54120321fe04c9e243414884043f1d6cbb7cc6f19c367676baabfc5326d078');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-756c-ac76-f5f17656e927/sealed.pdf","sha256":"52d2ddeb56ba0cfb0f4ad75555cd70c2d8e1afe0a3306c215212130fadcde650","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"delivery-acknowledge","personal_hash":"","prev":"ef54120321fe04c9e243414884043f1d6cbb7cc6f19c367676baabfc5326d078","seq":12,"v":1}','527fd306a1a9fa2a4b2bc96065adb45850839780ba9d954fce1a25f3cce62a41');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-756c-ac76-f5f17656e927','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{},"document":"01a20320-adb8-756c-ac76-f5f17656e927","event":"file","personal_hash":"","prev":"527fd306a1a9fa2a4b2bc96065adb45850839780ba9d954fce1a25f3cce62a41","seq":13,"v":1}','684acc1030ddd42b650d76544fb923cbd5d7a1d1b733c6fa1bbfb17c3bd619e7');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"1e695cab8440e6c6251faed1fb3076f7","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"90ceb20684f0ce14a38eaa03ae703e1f6300f500f92aea3758e31dade87c0059","prev":"684acc1030ddd42b650d76544fb923cbd5d7a1d1b733c6fa1bbfb17c3bd619e7","seq":14,"v":1}','b8fa38b66380c5c55e51528aec7fe232059ea5df60ae5e192ceb3b135a08f6cb');
CREATE TABLE "login" (
   "serial" TEXT PRIMARY KEY,
   "unresolved" INTEGER,
   "rejected" INTEGER,
   "permitted" INTEGER
);
CREATE TABLE "meta" (
   "key" TEXT PRIMARY KEY NOT NULL,
   "value" TEXT NOT NULL
);
INSERT INTO "meta" VALUES('box_id','1e695cab8440e6c6251faed1fb3076f7');
CREATE TABLE "missing" (
   "hotfolder" TEXT,
   "series" TEXT,
   "run" INTEGER,
   "number" INTEGER,
   "digits" INTEGER NOT NULL,
   "jumped_from" INTEGER NOT NULL,
   "noticed_at" TEXT NOT NULL,
   "due_at" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "series", "run", "number")
);
CREATE TABLE "personal" (
   "seq" INTEGER PRIMARY KEY,
   "salt" BLOB,
   "content" TEXT
);
INSERT INTO "personal" VALUES(1,X'F7C946AEAECECA752248CEF79C4A3BE3','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'28AAD0BB9CEB37B3E18B7C12499432D5','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'1362C37DDB20EC16FA369A2044CFC7FF','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'7FE7D6EC84F7B45E7BAA5CC4CB1422AD','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'BABDA7ABC853F37555ACFF60B70289DD','{"operator":"K 17","person":"uid 0"}');
CREATE TABLE "segment" (
   "day" TEXT PRIMARY KEY,
   "first" INTEGER NOT NULL,
   "last" INTEGER NOT NULL,
   "hash" TEXT NOT NULL,
   "digest" TEXT NOT NULL,
   "size" INTEGER NOT NULL,
   "seal" TEXT NOT NULL,
   "seal_size" INTEGER NOT NULL,
   "sealed_at" TEXT
);
CREATE TABLE "segment_delivery" (
   "day" TEXT REFERENCES "segment"("day"),
   "target" TEXT,
   "state" TEXT NOT NULL,
   "receipts" TEXT NOT NULL,
   "changed_at" TEXT,
   PRIMARY KEY ("day", "target")
);
CREATE TABLE "shift" (
   "hotfolder" TEXT,
   "since" TEXT,
   "operator" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "since")
);
INSERT INTO "shift" VALUES('post','2026-11-22T12:00:00.000Z','K 17');
CREATE TABLE "tally" (
   "kind" TEXT,
   "state" TEXT,
   "n" INTEGER,
   PRIMARY KEY ("kind", "state")
);
INSERT INTO "tally" VALUES('document','claimed',1);
INSERT INTO "tally" VALUES('bytes','unsealed',1000);
INSERT INTO "tally" VALUES('document','refused',1);
INSERT INTO "tally" VALUES('document','sealed',1);
INSERT INTO "tally" VALUES('document','frozen',0);
INSERT INTO "tally" VALUES('delivery:dms','pending',0);
INSERT INTO "tally" VALUES('delivery:archive','pending',0);
INSERT INTO "tally" VALUES('delivery:archive','sending',0);
INSERT INTO "tally" VALUES('delivery:archive','delivered',1);
INSERT INTO "tally" VALUES('delivery:dms','sending',0);
INSERT INTO "tally" VALUES('delivery:dms','delivered',1);
INSERT INTO "tally" VALUES('document','filed',1);
CREATE INDEX document_open ON document(state, id) WHERE state IN ('claimed','waiting','refused','sealed','stamped','frozen','held');
CREATE INDEX document_unstamped ON document(id) WHERE stamp = 'wanted' AND state = 'sealed';
CREATE INDEX document_aging ON document(profile, state, changed_at, id) WHERE state IN ('refused','filed','discarded','withdrawn') AND superseded_by = '';
CREATE INDEX document_kept ON document(id) WHERE sealed != '' AND state != 'forgotten';
CREATE INDEX document_unlinking ON document(id) WHERE local = 'leaving';
CREATE INDEX document_step ON document(step) WHERE step != '';
CREATE INDEX document_copy ON document(hotfolder, id) WHERE copy IN ('due','leaving');
CREATE INDEX document_copy_until ON document(hotfolder, copy_until) WHERE copy = 'there';
CREATE INDEX document_hotfolder ON document(hotfolder, id);
CREATE INDEX document_refused ON document(hotfolder, id) WHERE state = 'refused';
CREATE INDEX document_refused_digest ON document(hotfolder, digest) WHERE state = 'refused';
CREATE INDEX document_superseded ON document(superseded_by) WHERE superseded_by != '';
CREATE INDEX document_digest ON document(digest, id);
CREATE INDEX document_pages ON document(pages_digest, id) WHERE pages_digest != '';
CREATE INDEX document_sealed ON document(sealed_at, id) WHERE sealed_at IS NOT NULL;
CREATE INDEX document_batch ON document(json_extract(described, '$.batch')) WHERE json_extract(described, '$.batch') IS NOT NULL;
CREATE INDEX delivery_due ON delivery(target, state, due_at) WHERE state IN ('pending','sending');
CREATE INDEX delivery_done ON delivery(target, changed_at) WHERE state = 'delivered';
CREATE INDEX delivery_step ON delivery(step) WHERE step != '';
CREATE INDEX ledger_document ON ledger(document, seq);
CREATE INDEX ledger_at ON ledger(at);
COMMIT;
PRAGMA user_version = 1;
