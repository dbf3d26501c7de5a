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
INSERT INTO "delivery" VALUES('01a20320-adb8-718d-8211-c15e472cc508','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf", "size": 10, "sha256": "3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa", "reference": "/srv/dms/01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-718d-8211-c15e472cc508','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "5c4b06cdce01779caca1f9e8f60cfc77df574703e6056637a2f16bca435dcfd4", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf", "size": 10, "sha256": "3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa", "reference": "/srv/archive/01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-718d-8211-c15e472cc508/manifest.json", "size": 10, "sha256": "5c4b06cdce01779caca1f9e8f60cfc77df574703e6056637a2f16bca435dcfd4", "reference": "/srv/archive/01a20320-adb8-718d-8211-c15e472cc508/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
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
INSERT INTO "document" VALUES('01a20320-a200-71cc-8a16-125bf9b1d826','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7697-b395-0b5aadcb5727','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-726b-9583-e2ca7b59cff8','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','9ab578187d2f5ef4174ceca51d033ba867aa302e7f0d79864428f10c15d101cb',10,'1e946d2bf20c08423be91af3b82df609c5dab9ec00d60dc30183f82db3c279fc',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','858002c55ce30bbf339aa39555565719bc701b24275f663f7bf71216cb053ea1','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-718d-8211-c15e472cc508','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa',10,'17d31829d3db7fab6474d95888c7c72afbbb49cc295113e8e2167ad8f6903d94',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','32d7577c44e808b00fb04988ef0e867cc2b3b3dacc858640fe79264a2045b2c3','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-71cc-8a16-125bf9b1d826','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-71cc-8a16-125bf9b1d826","event":"claim","personal_hash":"46f7d15d18173424cf2abb858a2f3f955f25d20017e55a02af453e318fe48152","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','fa8c96c57f748443c9b018fae18c38dbd7b8964fe314b381c355ccfafd6de95f');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7697-b395-0b5aadcb5727','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7697-b395-0b5aadcb5727","event":"claim","personal_hash":"c92e82d18d2426b30299f5d54cdc7db2f5fd9653a8ad7ab88432b4c7fb90f5cc","prev":"fa8c96c57f748443c9b018fae18c38dbd7b8964fe314b381c355ccfafd6de95f","seq":2,"v":1}','188239f1c93327222616b568bf8492a6fd61e1dcb6e4f73ad68d9d7dd4a7cd8d');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7697-b395-0b5aadcb5727','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7697-b395-0b5aadcb5727","event":"refuse","personal_hash":"","prev":"188239f1c93327222616b568bf8492a6fd61e1dcb6e4f73ad68d9d7dd4a7cd8d","seq":3,"v":1}','a3b7ef9e3982137f82ade9653b1448f937ad291ebab40dbad9ba0d01cb5b69eb');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-726b-9583-e2ca7b59cff8','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-726b-9583-e2ca7b59cff8","event":"claim","personal_hash":"90f1b60efffffd2fdd32ef2a5b8745235fd508d086d100812351b6ef0ac739bb","prev":"a3b7ef9e3982137f82ade9653b1448f937ad291ebab40dbad9ba0d01cb5b69eb","seq":4,"v":1}','858002c55ce30bbf339aa39555565719bc701b24275f663f7bf71216cb053ea1');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-726b-9583-e2ca7b59cff8','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"858002c55ce30bbf339aa39555565719bc701b24275f663f7bf71216cb053ea1","note_sha256":"1e946d2bf20c08423be91af3b82df609c5dab9ec00d60dc30183f82db3c279fc","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"9ab578187d2f5ef4174ceca51d033ba867aa302e7f0d79864428f10c15d101cb","size":10},"document":"01a20320-a9d0-726b-9583-e2ca7b59cff8","event":"seal","personal_hash":"","prev":"858002c55ce30bbf339aa39555565719bc701b24275f663f7bf71216cb053ea1","seq":5,"v":1}','e4ebe754181a3844b6422c065d607b5e044f2d0f8a1473586489fbabee75f304');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"claim","personal_hash":"4555b80c63e090d666dbbeb7bf262569e6bc78d9a4716b2df24be7f313e03507","prev":"e4ebe754181a3844b6422c065d607b5e044f2d0f8a1473586489fbabee75f304","seq":6,"v":1}','32d7577c44e808b00fb04988ef0e867cc2b3b3dacc858640fe79264a2045b2c3');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"32d7577c44e808b00fb04988ef0e867cc2b3b3dacc858640fe79264a2045b2c3","note_sha256":"17d31829d3db7fab6474d95888c7c72afbbb49cc295113e8e2167ad8f6903d94","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa","size":10},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"seal","personal_hash":"","prev":"32d7577c44e808b00fb04988ef0e867cc2b3b3dacc858640fe79264a2045b2c3","seq":7,"v":1}','7e1deecadd7abe41cd7f922b2b4c29fc0451d012bae7f5a35dd8bb46a256a729');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa","size":10},{"file":"manifest.json","role":"manifest","sha256":"5c4b06cdce01779caca1f9e8f60cfc77df574703e6056637a2f16bca435dcfd4","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"freeze","personal_hash":"","prev":"7e1deecadd7abe41cd7f922b2b4c29fc0451d012bae7f5a35dd8bb46a256a729","seq":8,"v":1}','9d1836f562af1cbe749811e255d2fb6f1231afd04a4e716db93e2d8a00ff2218');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"target":"archive"},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"delivery-send","personal_hash":"","prev":"9d1836f562af1cbe749811e255d2fb6f1231afd04a4e716db93e2d8a00ff2218","seq":9,"v":1}','d9ecf25f6e9ed2672c5a82a26d121e14397ac32aebdacada26bd3dec6b7c4e6b');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf","sha256":"3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-718d-8211-c15e472cc508/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-718d-8211-c15e472cc508/manifest.json","sha256":"5c4b06cdce01779caca1f9e8f60cfc77df574703e6056637a2f16bca435dcfd4","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"delivery-acknowledge","personal_hash":"","prev":"d9ecf25f6e9ed2672c5a82a26d121e14397ac32aebdacada26bd3dec6b7c4e6b","seq":10,"v":1}','35372e71f075292832f1e1649f65a9fd547702c7f033d50c10cee456f33c539a');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"target":"dms"},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"delivery-send","personal_hash":"","prev":"35372e71f075292832f1e1649f65a9fd547702c7f033d50c10cee456f33c539a","seq":11,"v":1}','689c9b2e5efc4e6c8942096f64e8a681a17014b0775684ecc5e2f7e22bc3f59b');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-718d-8211-c15e472cc508/sealed.pdf","sha256":"3e5e3e12fe8a8e7125cc9de6391fc0b6a4bb0e30eef8696895dc769635a03afa","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"delivery-acknowledge","personal_hash":"","prev":"689c9b2e5efc4e6c8942096f64e8a681a17014b0775684ecc5e2f7e22bc3f59b","seq":12,"v":1}','26e4519a4af72af1912062f15ab56a09520726c60a64970a2d83a59f06ebe1e3');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-718d-8211-c15e472cc508','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{},"document":"01a20320-adb8-718d-8211-c15e472cc508","event":"file","personal_hash":"","prev":"26e4519a4af72af1912062f15ab56a09520726c60a64970a2d83a59f06ebe1e3","seq":13,"v":1}','7af69bce4001417753e97604668a1b7fe096b1785a43edf7dc5a9bdae4a795ae');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"10b0c336a97d763f23d495f5e61b4bef","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"666d5588e670ec03aa4d325b0dd6d2f58eefc52dee004d3695cbec9a5416a4a6","prev":"7af69bce4001417753e97604668a1b7fe096b1785a43edf7dc5a9bdae4a795ae","seq":14,"v":1}','8ec970f5b6f9ee683c2df612d06ba7f700a3d4b06a18fb6972f982b031125640');
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
INSERT INTO "meta" VALUES('box_id','10b0c336a97d763f23d495f5e61b4bef');
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
INSERT INTO "personal" VALUES(1,X'9824AAC8B5FB52F72FA5F5707D15412C','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'8224CAC886FFB3B28BD2DAB3EE6DA1DE','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'C70B95EA9B11BF554A76F8AB16D82232','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'302889F0F1C12ED826EDEE7DE259AFB8','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'A714C186B61FDAA9FE37038E2D5422B8','{"operator":"K 17","person":"uid 0"}');
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
