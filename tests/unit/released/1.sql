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
INSERT INTO "delivery" VALUES('01a20320-adb8-7017-aa8e-a2130f0522d5','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf", "size": 10, "sha256": "214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c", "reference": "/srv/dms/01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-7017-aa8e-a2130f0522d5','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "7f779fae2ffa51d677385db85c1d94312e0fb351ec18b22cc438567153201e57", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf", "size": 10, "sha256": "214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c", "reference": "/srv/archive/01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-7017-aa8e-a2130f0522d5/manifest.json", "size": 10, "sha256": "7f779fae2ffa51d677385db85c1d94312e0fb351ec18b22cc438567153201e57", "reference": "/srv/archive/01a20320-adb8-7017-aa8e-a2130f0522d5/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
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
INSERT INTO "document" VALUES('01a20320-a200-7dee-98d1-88322dc8457a','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7c0b-b3e9-9a664ad30ea9','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-703a-b6e2-2b88127e51f6','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','b440ccce832833a4c064852ef0917194cc8d49c695eabbe84872c8575960de88',10,'575da989ab1caa85485310a73c2a313451bf97f3d3fbed058b5d8b350dd68880',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','80f69097af4f96afc91a5c42b031e5e3042c3e60c28d3ffdee10976290f30735','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-7017-aa8e-a2130f0522d5','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c',10,'2164552b006db3a8618090c221fe5e64c4880a308d5dde7237963091e062fc59',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','8e34f0f028df68a225bae0d04c04bf9804369c7d45de3bd2016aa74f960d5385','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7dee-98d1-88322dc8457a','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7dee-98d1-88322dc8457a","event":"claim","personal_hash":"2827323c03c178fdf9262a0a1f513636f3923255d1da84f0df10a6a6ee2d4768","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','5f0e2b8d010c143b59c03281578cbc9accf7d74613696d668031cc9391c0f561');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7c0b-b3e9-9a664ad30ea9','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7c0b-b3e9-9a664ad30ea9","event":"claim","personal_hash":"28aae1c48c00efc37faecccd01d7653ee1be2d472f189a4fabe4b7a35d3fc5a3","prev":"5f0e2b8d010c143b59c03281578cbc9accf7d74613696d668031cc9391c0f561","seq":2,"v":1}','386287d2a47287291763a1d66151fbd4bb36677e0858d2ebe1451657c3c4415a');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7c0b-b3e9-9a664ad30ea9','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7c0b-b3e9-9a664ad30ea9","event":"refuse","personal_hash":"","prev":"386287d2a47287291763a1d66151fbd4bb36677e0858d2ebe1451657c3c4415a","seq":3,"v":1}','eeb85234154d73acdb9acad24fa1f545490b1bb4d7b369ce61d992fb319c96a8');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-703a-b6e2-2b88127e51f6','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-703a-b6e2-2b88127e51f6","event":"claim","personal_hash":"6a0699410512ea5144ec0072f87b907c11369a3b73e683efa216901b5a348dfd","prev":"eeb85234154d73acdb9acad24fa1f545490b1bb4d7b369ce61d992fb319c96a8","seq":4,"v":1}','80f69097af4f96afc91a5c42b031e5e3042c3e60c28d3ffdee10976290f30735');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-703a-b6e2-2b88127e51f6','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"80f69097af4f96afc91a5c42b031e5e3042c3e60c28d3ffdee10976290f30735","note_sha256":"575da989ab1caa85485310a73c2a313451bf97f3d3fbed058b5d8b350dd68880","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"b440ccce832833a4c064852ef0917194cc8d49c695eabbe84872c8575960de88","size":10},"document":"01a20320-a9d0-703a-b6e2-2b88127e51f6","event":"seal","personal_hash":"","prev":"80f69097af4f96afc91a5c42b031e5e3042c3e60c28d3ffdee10976290f30735","seq":5,"v":1}','ee88969a5f06f624906b71a2359d70987d624f8112c28715fda2f961b8eb7c30');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"claim","personal_hash":"0e2d4920b7af08030266895cc76777f6102fce6680aab88cb4e18b61aad9a92c","prev":"ee88969a5f06f624906b71a2359d70987d624f8112c28715fda2f961b8eb7c30","seq":6,"v":1}','8e34f0f028df68a225bae0d04c04bf9804369c7d45de3bd2016aa74f960d5385');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"8e34f0f028df68a225bae0d04c04bf9804369c7d45de3bd2016aa74f960d5385","note_sha256":"2164552b006db3a8618090c221fe5e64c4880a308d5dde7237963091e062fc59","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c","size":10},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"seal","personal_hash":"","prev":"8e34f0f028df68a225bae0d04c04bf9804369c7d45de3bd2016aa74f960d5385","seq":7,"v":1}','20b84799c7c0e0e81cfb21b688134cc3a085c2c89f55286dafb378412babdf24');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c","size":10},{"file":"manifest.json","role":"manifest","sha256":"7f779fae2ffa51d677385db85c1d94312e0fb351ec18b22cc438567153201e57","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"freeze","personal_hash":"","prev":"20b84799c7c0e0e81cfb21b688134cc3a085c2c89f55286dafb378412babdf24","seq":8,"v":1}','a14050c299d9fc3c1076e7d07c9e4e53b35737c745eb2d164527bbe28f44bc0b');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"target":"archive"},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"delivery-send","personal_hash":"","prev":"a14050c299d9fc3c1076e7d07c9e4e53b35737c745eb2d164527bbe28f44bc0b","seq":9,"v":1}','0b95e2c0c97dc4c27765c5ef2f627fe65effd6b4d3edb075e8914c0eea8baa2e');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf","sha256":"214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-7017-aa8e-a2130f0522d5/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7017-aa8e-a2130f0522d5/manifest.json","sha256":"7f779fae2ffa51d677385db85c1d94312e0fb351ec18b22cc438567153201e57","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"delivery-acknowledge","personal_hash":"","prev":"0b95e2c0c97dc4c27765c5ef2f627fe65effd6b4d3edb075e8914c0eea8baa2e","seq":10,"v":1}','0dcf1a8257e6ad071c5ecfaedf3c5b598f28714a60d1dd5eaf10eac3404a3c7e');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"target":"dms"},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"delivery-send","personal_hash":"","prev":"0dcf1a8257e6ad071c5ecfaedf3c5b598f28714a60d1dd5eaf10eac3404a3c7e","seq":11,"v":1}','365ec9956d40e0e2b4cc309eed9d46b690dcd63b87078b0f6e900ad69ed355fe');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-7017-aa8e-a2130f0522d5/sealed.pdf","sha256":"214afcbb079dc754ec18e1268ea111e11450cc02bc6eda77a735114a04c0d55c","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"delivery-acknowledge","personal_hash":"","prev":"365ec9956d40e0e2b4cc309eed9d46b690dcd63b87078b0f6e900ad69ed355fe","seq":12,"v":1}','8b60b9a6fe31f442c6a6dcf09225845fe50f26ddf4959fc7e071cf703d32b103');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-7017-aa8e-a2130f0522d5','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{},"document":"01a20320-adb8-7017-aa8e-a2130f0522d5","event":"file","personal_hash":"","prev":"8b60b9a6fe31f442c6a6dcf09225845fe50f26ddf4959fc7e071cf703d32b103","seq":13,"v":1}','031033bd6586c88e47007117dc227a21eb3d842c8c344cdd8a59f62a4f606c17');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"91445bf40ca37669e09a6a19bcbe7268","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"fb34ef5f86eca410e3cb86d66e828333f3bc6d3a0f39970a16fd8cd7abe86ebc","prev":"031033bd6586c88e47007117dc227a21eb3d842c8c344cdd8a59f62a4f606c17","seq":14,"v":1}','62fcc9df0c5c27845eb10e8486bb4ab1ecc42f5163e37ecb4cf674f5742f747a');
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
INSERT INTO "meta" VALUES('box_id','91445bf40ca37669e09a6a19bcbe7268');
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
INSERT INTO "personal" VALUES(1,X'C247534171282C8F09D104DC2A15A892','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'3C94C6AD7ADE3C3C4F97B0703A3D67AE','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'16353D980B9B81E41617EC00C31B8EA9','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'C3D2DFBDD66CBE6684B43C8B3FA7EC54','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'AE078AABE6ED071B9A74D1D1D9C2C790','{"operator":"K 17","person":"uid 0"}');
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
INSERT INTO "tally" VALUES('profile','post',3);
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
CREATE INDEX document_state ON document(state, id);
CREATE INDEX document_ready ON document(state, id) WHERE state IN ('sealed','stamped') AND stamp != 'wanted' AND step = '';
CREATE INDEX document_waiting ON document(code, profile, hotfolder, id) WHERE state = 'waiting';
CREATE INDEX document_suspect ON document(state, tries, id) WHERE tries > 0;
CREATE INDEX document_unstamped ON document(sealed_at, id) WHERE stamp = 'wanted' AND state = 'sealed';
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
CREATE INDEX delivery_suspect ON delivery(target, tries) WHERE tries > 0;
CREATE INDEX delivery_done ON delivery(target, changed_at) WHERE state = 'delivered';
CREATE INDEX delivery_step ON delivery(step) WHERE step != '';
CREATE INDEX ledger_document ON ledger(document, seq);
CREATE INDEX ledger_at ON ledger(at);
COMMIT;
PRAGMA user_version = 1;
