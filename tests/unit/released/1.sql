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
INSERT INTO "delivery" VALUES('01a20320-adb8-757a-ab72-8a7710f0274e','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf", "size": 10, "sha256": "3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038", "reference": "/srv/dms/01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-757a-ab72-8a7710f0274e','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "5bef5b16c2055c8be725cc09758b174cceae984a6c655dfb9a7245e1fc855424", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf", "size": 10, "sha256": "3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038", "reference": "/srv/archive/01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-757a-ab72-8a7710f0274e/manifest.json", "size": 10, "sha256": "5bef5b16c2055c8be725cc09758b174cceae984a6c655dfb9a7245e1fc855424", "reference": "/srv/archive/01a20320-adb8-757a-ab72-8a7710f0274e/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
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
   "certificate" TEXT DEFAULT '',
   "local" TEXT DEFAULT ''
);
INSERT INTO "document" VALUES('01a20320-a200-7d44-9b7c-a173974e7708','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','');
INSERT INTO "document" VALUES('01a20320-a5e8-739c-8580-5050a38d0e9a','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','');
INSERT INTO "document" VALUES('01a20320-a9d0-7707-b426-fb4ef138a368','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','d2d6f4d45e8ff05e88f9d1df4c5542a810c7b7e9bf4a211f485920d49199a5ec',10,'c1f2e8b87b80a01d62cd40e0fa3becb1826ca56b1a18822337eecd1cdce4bfbd',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','d08f35627bec02f2fca492262f49f7cde9acf0f592c7bb6ee40512870e3089fb','',NULL,'','','{}','[]','','','','',NULL,'','[]','','');
INSERT INTO "document" VALUES('01a20320-adb8-757a-ab72-8a7710f0274e','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038',10,'3152ab22f46d8ae3d820f5ef1570a3a2972301bb0682d39ad7171be2790559ed',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','8feffcbc21bf294011ded9605c42ec45593dd95f27a26664d35e7dca3cf081a4','',NULL,'','','{}','[]','','','','',NULL,'','[]','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7d44-9b7c-a173974e7708','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7d44-9b7c-a173974e7708","event":"claim","personal_hash":"5ac14165a6065107992c556c0470de9aa4c64cbed60e28f4a8f7c34d39193641","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','09ab2ef16cd9469e359d9dd8830345975da315114531bd5be254835ed5479292');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-739c-8580-5050a38d0e9a','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-739c-8580-5050a38d0e9a","event":"claim","personal_hash":"cc1f126ca31a3b49990d28f5902d5070f6c9af661f2e362e9e5111821d3f1429","prev":"09ab2ef16cd9469e359d9dd8830345975da315114531bd5be254835ed5479292","seq":2,"v":1}','832f1d597cedba5672bc9f1dc31b537e7f37b95dbb761c69ed07ed575b32275d');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-739c-8580-5050a38d0e9a','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-739c-8580-5050a38d0e9a","event":"refuse","personal_hash":"","prev":"832f1d597cedba5672bc9f1dc31b537e7f37b95dbb761c69ed07ed575b32275d","seq":3,"v":1}','8f07d785f1333a7315a1e8afe52168b3ed5af0d6d18911d2fc0355feedc723f4');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7707-b426-fb4ef138a368','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-7707-b426-fb4ef138a368","event":"claim","personal_hash":"455e7a8fa76852d6c7f36e27e059f1cc19350ca8d30673a9b404a5fd43f95995","prev":"8f07d785f1333a7315a1e8afe52168b3ed5af0d6d18911d2fc0355feedc723f4","seq":4,"v":1}','d08f35627bec02f2fca492262f49f7cde9acf0f592c7bb6ee40512870e3089fb');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7707-b426-fb4ef138a368','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"d08f35627bec02f2fca492262f49f7cde9acf0f592c7bb6ee40512870e3089fb","note_sha256":"c1f2e8b87b80a01d62cd40e0fa3becb1826ca56b1a18822337eecd1cdce4bfbd","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"d2d6f4d45e8ff05e88f9d1df4c5542a810c7b7e9bf4a211f485920d49199a5ec","size":10},"document":"01a20320-a9d0-7707-b426-fb4ef138a368","event":"seal","personal_hash":"","prev":"d08f35627bec02f2fca492262f49f7cde9acf0f592c7bb6ee40512870e3089fb","seq":5,"v":1}','132948c4626cd99caa8f071b2c50fdfb60ab9a9aa409b50d52107f0fd4f7ddde');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"claim","personal_hash":"dc938e002100227e61dbf4071856b2edfae66b4cfc75ce31fe255ac675d6d0b8","prev":"132948c4626cd99caa8f071b2c50fdfb60ab9a9aa409b50d52107f0fd4f7ddde","seq":6,"v":1}','8feffcbc21bf294011ded9605c42ec45593dd95f27a26664d35e7dca3cf081a4');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"8feffcbc21bf294011ded9605c42ec45593dd95f27a26664d35e7dca3cf081a4","note_sha256":"3152ab22f46d8ae3d820f5ef1570a3a2972301bb0682d39ad7171be2790559ed","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038","size":10},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"seal","personal_hash":"","prev":"8feffcbc21bf294011ded9605c42ec45593dd95f27a26664d35e7dca3cf081a4","seq":7,"v":1}','03a01b351eed5f57a727776b040972d409a6890f1901e0d3d469fe78294f99bb');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038","size":10},{"file":"manifest.json","role":"manifest","sha256":"5bef5b16c2055c8be725cc09758b174cceae984a6c655dfb9a7245e1fc855424","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"freeze","personal_hash":"","prev":"03a01b351eed5f57a727776b040972d409a6890f1901e0d3d469fe78294f99bb","seq":8,"v":1}','14212739bb61a2b16ab152204fe0dbb3c22989c5ed107ac78b6e8abb77c38485');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"target":"archive"},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"delivery-send","personal_hash":"","prev":"14212739bb61a2b16ab152204fe0dbb3c22989c5ed107ac78b6e8abb77c38485","seq":9,"v":1}','9e96c2243c1a40274c14cc4f0b84db1bc42091bb8e456f262bb2446ccf620779');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf","sha256":"3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-757a-ab72-8a7710f0274e/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-757a-ab72-8a7710f0274e/manifest.json","sha256":"5bef5b16c2055c8be725cc09758b174cceae984a6c655dfb9a7245e1fc855424","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"delivery-acknowledge","personal_hash":"","prev":"9e96c2243c1a40274c14cc4f0b84db1bc42091bb8e456f262bb2446ccf620779","seq":10,"v":1}','2d06769a854ffe569c46cecf27514671dcacb3f9fa866a82de376260a6d29202');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"target":"dms"},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"delivery-send","personal_hash":"","prev":"2d06769a854ffe569c46cecf27514671dcacb3f9fa866a82de376260a6d29202","seq":11,"v":1}','0d4d8a026988c81e61c6526c12e8813035f80f27aa233da1756aefa39522d5e6');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-757a-ab72-8a7710f0274e/sealed.pdf","sha256":"3fbfa13c23fa65d2b228c6b8339abd07aebce704e993eea2d641080dd8ada038","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"delivery-acknowledge","personal_hash":"","prev":"0d4d8a026988c81e61c6526c12e8813035f80f27aa233da1756aefa39522d5e6","seq":12,"v":1}','abf0193e841248b2ee25bbf42a45939b37f8ce3154e85a07aed55355d79ea480');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-757a-ab72-8a7710f0274e','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{},"document":"01a20320-adb8-757a-ab72-8a7710f0274e","event":"file","personal_hash":"","prev":"abf0193e841248b2ee25bbf42a45939b37f8ce3154e85a07aed55355d79ea480","seq":13,"v":1}','b61b0b4d28cd780daf757212737eab6dacc832fbd4ffb9e85213c5bc0f70075b');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"ae5208b58d3abe361b89b60e542a5706","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"7cc777ccde34ed98c368c46e1d774feaf56cac63a1479264bdfff7bde3238e1c","prev":"b61b0b4d28cd780daf757212737eab6dacc832fbd4ffb9e85213c5bc0f70075b","seq":14,"v":1}','c76a11b2ee247b87fe16d54704038f03dca21832c0ffcaca6bf8b8939119a0c0');
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
INSERT INTO "meta" VALUES('box_id','ae5208b58d3abe361b89b60e542a5706');
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
INSERT INTO "personal" VALUES(1,X'90A14DA3E7E0DBC88D2B4963C222B642','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'A65519FCE22C01BC7ED882D0799FBE3A','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'09D291DF3FF6E8EC283603EEF60F005E','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'277C087EAD5AA0AEF21822ECC80F0144','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'95E6B29BF1FCB444599DB9CDFC412EBA','{"operator":"K 17","person":"uid 0"}');
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
