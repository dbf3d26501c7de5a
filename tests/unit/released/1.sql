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
INSERT INTO "delivery" VALUES('01a20320-adb8-7d7b-9583-a876e9af384d','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf", "size": 10, "sha256": "759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b", "reference": "/srv/dms/01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-7d7b-9583-a876e9af384d','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "5437fa139947414dce3bc10a8e48bfaca0e7540cc293700af65843bc6ad96908", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf", "size": 10, "sha256": "759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b", "reference": "/srv/archive/01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-7d7b-9583-a876e9af384d/manifest.json", "size": 10, "sha256": "5437fa139947414dce3bc10a8e48bfaca0e7540cc293700af65843bc6ad96908", "reference": "/srv/archive/01a20320-adb8-7d7b-9583-a876e9af384d/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
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
INSERT INTO "document" VALUES('01a20320-a200-7be0-be50-9f8ebffaa41f','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7759-95d2-533674be03f6','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-7045-9c85-26a3db8787a2','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','cbb6300ec9e8bd9cd4d3bbb1a60776cbd3c5aaf8effc14111cbacc25317eb4a7',10,'df3ed83ead8343f0cc6a18bc7651be56f3081b8450406d851c95f790cad5f2ee',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','f720d53dbcf9927b40bbdcd0a858c87c999e20c985cee935bd96e00cf666f414','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-7d7b-9583-a876e9af384d','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b',10,'ad8d4dd0aa4afed3fb36c6df30698a3be24cde55fc38191fdf018de5190d9a69',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','8a1e75881f06c03f4afa584c2657040ae720f2135ef542822b8cb9fbe517096a','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7be0-be50-9f8ebffaa41f','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7be0-be50-9f8ebffaa41f","event":"claim","personal_hash":"1fdd83f47815714914be45c87b9c35692e6fdb644b8db48756e8b1d99105dc66","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','0946f43d39c7ffd8d263dae6423f9a0371b6105505a60b9e2f11ce9629a8cb20');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7759-95d2-533674be03f6','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7759-95d2-533674be03f6","event":"claim","personal_hash":"c1968f1247d310cefea15216edf7c8ac40a9533c2f53c7c4cf5ae2828eec56f5","prev":"0946f43d39c7ffd8d263dae6423f9a0371b6105505a60b9e2f11ce9629a8cb20","seq":2,"v":1}','d1c11e5d4774e4d98851797a5d76ccd0331bf2e7bd2f55eef1f450e685d82cdc');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7759-95d2-533674be03f6','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7759-95d2-533674be03f6","event":"refuse","personal_hash":"","prev":"d1c11e5d4774e4d98851797a5d76ccd0331bf2e7bd2f55eef1f450e685d82cdc","seq":3,"v":1}','7331090a23021d8821a536c8786a05cf3a58a3d275caf789b28f3641cabcbf10');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7045-9c85-26a3db8787a2','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-7045-9c85-26a3db8787a2","event":"claim","personal_hash":"610f2dabe0ca714c4596082fcfb54b42fddf3a0bef58ee9be8726b6e70c3424e","prev":"7331090a23021d8821a536c8786a05cf3a58a3d275caf789b28f3641cabcbf10","seq":4,"v":1}','f720d53dbcf9927b40bbdcd0a858c87c999e20c985cee935bd96e00cf666f414');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-7045-9c85-26a3db8787a2','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"f720d53dbcf9927b40bbdcd0a858c87c999e20c985cee935bd96e00cf666f414","note_sha256":"df3ed83ead8343f0cc6a18bc7651be56f3081b8450406d851c95f790cad5f2ee","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"cbb6300ec9e8bd9cd4d3bbb1a60776cbd3c5aaf8effc14111cbacc25317eb4a7","size":10},"document":"01a20320-a9d0-7045-9c85-26a3db8787a2","event":"seal","personal_hash":"","prev":"f720d53dbcf9927b40bbdcd0a858c87c999e20c985cee935bd96e00cf666f414","seq":5,"v":1}','3ddbee368d51b324c88f3548f375cff08f504d2baf177f20698e6b3602c9216a');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"claim","personal_hash":"e9540ce662d7c729cdc8fdd6cd8409aae6fe86224ff946904f6ce821d84d5713","prev":"3ddbee368d51b324c88f3548f375cff08f504d2baf177f20698e6b3602c9216a","seq":6,"v":1}','8a1e75881f06c03f4afa584c2657040ae720f2135ef542822b8cb9fbe517096a');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"8a1e75881f06c03f4afa584c2657040ae720f2135ef542822b8cb9fbe517096a","note_sha256":"ad8d4dd0aa4afed3fb36c6df30698a3be24cde55fc38191fdf018de5190d9a69","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b","size":10},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"seal","personal_hash":"","prev":"8a1e75881f06c03f4afa584c2657040ae720f2135ef542822b8cb9fbe517096a","seq":7,"v":1}','e07c5e10b6b5c8429be8a430fa25be25531048f4fae447a02c0f506ae0189045');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b","size":10},{"file":"manifest.json","role":"manifest","sha256":"5437fa139947414dce3bc10a8e48bfaca0e7540cc293700af65843bc6ad96908","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"freeze","personal_hash":"","prev":"e07c5e10b6b5c8429be8a430fa25be25531048f4fae447a02c0f506ae0189045","seq":8,"v":1}','e0a2886a8634865765fa90afad261f692841e03f388002e50a140cb86e73748b');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"target":"archive"},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"delivery-send","personal_hash":"","prev":"e0a2886a8634865765fa90afad261f692841e03f388002e50a140cb86e73748b","seq":9,"v":1}','1e08e33b2b3868d3c303a196cb4779fac7de747618308e6256dcde9fa0967db3');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf","sha256":"759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-7d7b-9583-a876e9af384d/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7d7b-9583-a876e9af384d/manifest.json","sha256":"5437fa139947414dce3bc10a8e48bfaca0e7540cc293700af65843bc6ad96908","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"delivery-acknowledge","personal_hash":"","prev":"1e08e33b2b3868d3c303a196cb4779fac7de747618308e6256dcde9fa0967db3","seq":10,"v":1}','1025e3519031322cbb38a631c57caf316fbcd98e6f057f2268701ffa3c676a77');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"target":"dms"},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"delivery-send","personal_hash":"","prev":"1025e3519031322cbb38a631c57caf316fbcd98e6f057f2268701ffa3c676a77","seq":11,"v":1}','6e12c37300e342f65b6eb69747aefdf0646e7cb821c92ffe3bc0d906531934b5');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-7d7b-9583-a876e9af384d/sealed.pdf","sha256":"759c7068261b67c8619f0001c1724b88bd484d99c59a34d650780119a29ecf8b","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"delivery-acknowledge","personal_hash":"","prev":"6e12c37300e342f65b6eb69747aefdf0646e7cb821c92ffe3bc0d906531934b5","seq":12,"v":1}','ad2cc8555bcd9359a3de309cc04b6798d6788a06866b284ced532e3bb2eebff3');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-7d7b-9583-a876e9af384d','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{},"document":"01a20320-adb8-7d7b-9583-a876e9af384d","event":"file","personal_hash":"","prev":"ad2cc8555bcd9359a3de309cc04b6798d6788a06866b284ced532e3bb2eebff3","seq":13,"v":1}','554bd46a68b20e0311c433e301c8c9a890223a60bcff9abd03478094b0bce351');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"a878409f17e8af3827efae18f1a82e77","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"f864c685b5cfb24c70752f4530f7401613bca53a7859bc40663d7014df79c63b","prev":"554bd46a68b20e0311c433e301c8c9a890223a60bcff9abd03478094b0bce351","seq":14,"v":1}','4c6993ecf756ab7c1cff1acf7a550758f9e1cd9370c72e3f923e33b3bfbbe807');
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
INSERT INTO "meta" VALUES('box_id','a878409f17e8af3827efae18f1a82e77');
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
INSERT INTO "personal" VALUES(1,X'5B6397DA27288E5D8D0F9C064F5C688F','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'4F34B29C8984F4D94D17B792C54AB81E','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'CEA0DD4D2C9AA7AF0AFB0F3BD8F027F3','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'2665251C4B2A5A3B31B10358A33947AB','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'1790F300C1A53F0A2F156B82407185C0','{"operator":"K 17","person":"uid 0"}');
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
CREATE INDEX document_state ON document(state, id);
CREATE INDEX document_ready ON document(state, id) WHERE state IN ('sealed','stamped') AND stamp != 'wanted';
CREATE INDEX document_profiled ON document(profile) WHERE state IN ('claimed','waiting','refused','sealed','stamped','held');
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
