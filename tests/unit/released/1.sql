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
   "sent_at" TEXT NOT NULL DEFAULT '',
   "absent_at" TEXT NOT NULL DEFAULT '',
   "sure" INTEGER NOT NULL DEFAULT 0,
   PRIMARY KEY ("document", "target")
);
INSERT INTO "delivery" VALUES('01a20320-adb8-7012-ab50-0615bb7066c5','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf", "size": 10, "sha256": "233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6", "reference": "/srv/dms/01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z','2026-11-22T12:00:00.000Z','',0);
INSERT INTO "delivery" VALUES('01a20320-adb8-7012-ab50-0615bb7066c5','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "4444ecfe620c7ac32469240f835c9747c6d0d57795fc42c064f95a2e708cad52", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf", "size": 10, "sha256": "233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6", "reference": "/srv/archive/01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-7012-ab50-0615bb7066c5/manifest.json", "size": 10, "sha256": "4444ecfe620c7ac32469240f835c9747c6d0d57795fc42c064f95a2e708cad52", "reference": "/srv/archive/01a20320-adb8-7012-ab50-0615bb7066c5/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z','2026-11-22T12:00:00.000Z','',0);
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
INSERT INTO "document" VALUES('01a20320-a200-7b11-a930-cd52fdb44e89','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-75fb-93f2-8e03d68bc993','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-77c0-a40c-5ecac4ef6cc3','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','03c18d643cc1dc9a964cedba50ce62777eb59e35073e61f01efce455c98de46f',10,'fbcb59490a1ab9ba63fc91ec0e56b5d6fb1a0f20e1260c4a2cf909d771eca8bc',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','9eb5e5a848cedcf3342e8dc8643af3ed80e41409544eede2990b57f7bc8c396e','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-7012-ab50-0615bb7066c5','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6',10,'156fc4984e504818524a8dba30d8e56c5a2f839556f6fce1d0382d5e333d4082',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','de0cec91b4fb532cc6723a97f710f372d13ca4aa485e009f2028f08560f713e3','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7b11-a930-cd52fdb44e89','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7b11-a930-cd52fdb44e89","event":"claim","personal_hash":"132cf2c8d546b8150cf8f10651bb01084901c8152117a2f604c2313ec1c2638b","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','315e344111467cd0fc012c1a0920f02503402bd4b6cbc18bb9541dccd479b87f');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-75fb-93f2-8e03d68bc993','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-75fb-93f2-8e03d68bc993","event":"claim","personal_hash":"0db2b93ce3227e717653739c7281a8f2abc2a9e6163ec4615226d9f1a70fae88","prev":"315e344111467cd0fc012c1a0920f02503402bd4b6cbc18bb9541dccd479b87f","seq":2,"v":1}','9a258fbb3f065cc02a1927b486cb9c11f4b23a0393ec14f77f43943d39ca0688');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-75fb-93f2-8e03d68bc993','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-75fb-93f2-8e03d68bc993","event":"refuse","personal_hash":"","prev":"9a258fbb3f065cc02a1927b486cb9c11f4b23a0393ec14f77f43943d39ca0688","seq":3,"v":1}','9e145a498c0589287c3c0419ce79c83b0dabb56db272874435308f53c7887c19');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-77c0-a40c-5ecac4ef6cc3','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-77c0-a40c-5ecac4ef6cc3","event":"claim","personal_hash":"d95564965a5b9eb1c909e948d6fd365fb0ce8881f803cbd579d9c91405475bc7","prev":"9e145a498c0589287c3c0419ce79c83b0dabb56db272874435308f53c7887c19","seq":4,"v":1}','9eb5e5a848cedcf3342e8dc8643af3ed80e41409544eede2990b57f7bc8c396e');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-77c0-a40c-5ecac4ef6cc3','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"9eb5e5a848cedcf3342e8dc8643af3ed80e41409544eede2990b57f7bc8c396e","note_sha256":"fbcb59490a1ab9ba63fc91ec0e56b5d6fb1a0f20e1260c4a2cf909d771eca8bc","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"03c18d643cc1dc9a964cedba50ce62777eb59e35073e61f01efce455c98de46f","size":10},"document":"01a20320-a9d0-77c0-a40c-5ecac4ef6cc3","event":"seal","personal_hash":"","prev":"9eb5e5a848cedcf3342e8dc8643af3ed80e41409544eede2990b57f7bc8c396e","seq":5,"v":1}','ddbf16711427ce9a25cfe0c330e6a25ac99fa9f088fdee92e8af76454ee5a58e');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"claim","personal_hash":"4344643e3391aa20d92e499db8784479636cc8790a51878a4ae56a8253b5333f","prev":"ddbf16711427ce9a25cfe0c330e6a25ac99fa9f088fdee92e8af76454ee5a58e","seq":6,"v":1}','de0cec91b4fb532cc6723a97f710f372d13ca4aa485e009f2028f08560f713e3');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"de0cec91b4fb532cc6723a97f710f372d13ca4aa485e009f2028f08560f713e3","note_sha256":"156fc4984e504818524a8dba30d8e56c5a2f839556f6fce1d0382d5e333d4082","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6","size":10},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"seal","personal_hash":"","prev":"de0cec91b4fb532cc6723a97f710f372d13ca4aa485e009f2028f08560f713e3","seq":7,"v":1}','3333012c82a9402aa165da23a78c1ffb4ade0346f34ff21bc4fc19102abd7bc5');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6","size":10},{"file":"manifest.json","role":"manifest","sha256":"4444ecfe620c7ac32469240f835c9747c6d0d57795fc42c064f95a2e708cad52","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"freeze","personal_hash":"","prev":"3333012c82a9402aa165da23a78c1ffb4ade0346f34ff21bc4fc19102abd7bc5","seq":8,"v":1}','863a2611a3034dc248a0d41828ad5b4b6d5e5248e1d3685073a1210db34c6b28');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"target":"archive"},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"delivery-send","personal_hash":"","prev":"863a2611a3034dc248a0d41828ad5b4b6d5e5248e1d3685073a1210db34c6b28","seq":9,"v":1}','08f04e8c410db1ad28ac9764babc86f21d29bd589f6ca0d6c6b37c74e8504eac');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf","sha256":"233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-7012-ab50-0615bb7066c5/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7012-ab50-0615bb7066c5/manifest.json","sha256":"4444ecfe620c7ac32469240f835c9747c6d0d57795fc42c064f95a2e708cad52","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"delivery-acknowledge","personal_hash":"","prev":"08f04e8c410db1ad28ac9764babc86f21d29bd589f6ca0d6c6b37c74e8504eac","seq":10,"v":1}','973a218fe026594feabf0c091d86e3338357e5c88c31c53886e7b053ada58bdf');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"target":"dms"},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"delivery-send","personal_hash":"","prev":"973a218fe026594feabf0c091d86e3338357e5c88c31c53886e7b053ada58bdf","seq":11,"v":1}','d8b8ee8ebb59a28d8bb0c9e00dbad5c167b350e11ecc7842035ef71cc52d752d');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-7012-ab50-0615bb7066c5/sealed.pdf","sha256":"233f8400476db241f3b2ec2702d1f4cdb08d3ed0f95cae3967cec7e922aab2f6","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"delivery-acknowledge","personal_hash":"","prev":"d8b8ee8ebb59a28d8bb0c9e00dbad5c167b350e11ecc7842035ef71cc52d752d","seq":12,"v":1}','3bdae313281a4317ec9698c9b3cb6ff1ee0adbb22fe66a40c8baaf03085add84');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-7012-ab50-0615bb7066c5','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{},"document":"01a20320-adb8-7012-ab50-0615bb7066c5","event":"file","personal_hash":"","prev":"3bdae313281a4317ec9698c9b3cb6ff1ee0adbb22fe66a40c8baaf03085add84","seq":13,"v":1}','a2e4d46ed49f13c3b71e99aa539879de6c5f171156e05b763f6379ab35062e2c');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"b4d617103a31a2ac4499c8cd840a8fe7","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"c13849eb076ff7357ccf75adb6dfc4643c9b6150ece361df8c1a53fbec9fcbe9","prev":"a2e4d46ed49f13c3b71e99aa539879de6c5f171156e05b763f6379ab35062e2c","seq":14,"v":1}','5c1059067031946f44a4c4cb1ce14702082df7c45aaf2112c3b5d27c703e6864');
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
INSERT INTO "meta" VALUES('box_id','b4d617103a31a2ac4499c8cd840a8fe7');
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
INSERT INTO "personal" VALUES(1,X'9052EB2ED52D625038BDE701A66CF0B4','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'75F41AB155E010BF974E45E71AF346B0','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'D462B5489ED4273A2BE9B9C14592B92A','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'B94796554ABAF2BB1E33CAB3932399E0','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'FC80EC3BEFB4981622313F9DBAD4BCF5','{"operator":"K 17","person":"uid 0"}');
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
CREATE INDEX document_refused_tail ON document(hotfolder, substr(id, -8)) WHERE state = 'refused';
CREATE INDEX document_refused_digest ON document(hotfolder, digest) WHERE state = 'refused';
CREATE INDEX document_superseded ON document(superseded_by) WHERE superseded_by != '';
CREATE INDEX document_digest ON document(digest, id);
CREATE INDEX document_pages ON document(pages_digest, id) WHERE pages_digest != '';
CREATE INDEX document_sealed ON document(sealed_at, id) WHERE sealed_at IS NOT NULL;
CREATE INDEX document_batch ON document(json_extract(described, '$.batch')) WHERE json_extract(described, '$.batch') IS NOT NULL;
CREATE INDEX delivery_due ON delivery(target, state, due_at) WHERE state IN ('pending','sending');
CREATE INDEX delivery_refused ON delivery(target, code) WHERE state = 'refused';
CREATE INDEX delivery_suspect ON delivery(target, tries) WHERE tries > 0;
CREATE INDEX delivery_done ON delivery(target, changed_at) WHERE state = 'delivered';
CREATE INDEX delivery_step ON delivery(step) WHERE step != '';
CREATE INDEX ledger_document ON ledger(document, seq);
CREATE INDEX ledger_at ON ledger(at);
COMMIT;
PRAGMA user_version = 1;
