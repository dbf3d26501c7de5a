/* A PKCS#11 module for tests: SoftHSM, and on command what vendors' libraries do on bad days.
 *
 *   MISBEHAVE_MODULE    the library behind it
 *   MISBEHAVE_CONTROL   a file that is read at each call; each call is a line in <control>.log
 *
 * Lines of the control file:
 *
 *   C_Sign hang              does not come back
 *   C_Sign crash             SIGSEGV
 *   C_Sign ckr 0x30 [n]      returns this code, n times or always; nothing reaches the token
 *   C_Sign slow 300          takes so many milliseconds more
 *   C_Sign flip              one bit of the signature is another one
 *   token gone               unplugged; sessions are dead also after it is back
 *   token single             has one session for all processes together
 *   token logged-out         it has ended the login
 *   pin locks                after three wrong PINs, with the flags; counted in <control>.wrong
 *   key asks PINFILE         CKA_ALWAYS_AUTHENTICATE: the PIN is wanted for each signature
 *   idle MS                  a session that had nothing to do for so long is dead
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 512
#define ALLOWED_WRONG 3

static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST *real;
static int session_dead, asked_for_pin;
static long long heard_ms;

static const char *control(void)
{
    const char *path = getenv("MISBEHAVE_CONTROL");
    return path ? path : "/dev/null";
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void beside(char *path, const char *ending)
{
    snprintf(path, LONGEST, "%s.%s", control(), ending);
}

/* How many bytes a file beside the control file has: a counter that outlives processes. */
static long counted(const char *ending)
{
    char path[LONGEST];
    struct stat found;
    beside(path, ending);
    return stat(path, &found) ? 0 : (long)found.st_size;
}

static void append(const char *ending, const char *text)
{
    char path[LONGEST];
    beside(path, ending);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

/* Whether the control file has a line that begins with these words; the rest of it in `rest`. */
static int said(const char *words, char *rest, int *number)
{
    char line[LONGEST];
    int found = 0, at = 0;
    size_t length = strlen(words);
    FILE *file = fopen(control(), "re");
    if (!file)
        return 0;
    while (!found && fgets(line, sizeof line, file)) {
        at++;
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, words, length) && (line[length] == 0 || line[length] == ' ')) {
            found = 1;
            if (rest)
                snprintf(rest, LONGEST, "%s", line + length + (line[length] == ' '));
            if (number)
                *number = at;
        }
    }
    fclose(file);
    return found;
}

/* Log the call, misbehave as it was told, and return a code other than CKR_OK to answer with. */
static CK_RV before(const char *name)
{
    char words[LONGEST], rest[LONGEST], ending[32];
    int line = 0;
    snprintf(words, sizeof words, "%s\n", name);
    append("log", words);
    snprintf(words, sizeof words, "%s slow", name);
    if (said(words, rest, NULL))
        usleep((useconds_t)atoi(rest) * 1000);
    snprintf(words, sizeof words, "%s hang", name);
    if (said(words, NULL, NULL))
        for (;;)
            pause();
    snprintf(words, sizeof words, "%s crash", name);
    if (said(words, NULL, NULL))
        raise(SIGSEGV);
    snprintf(words, sizeof words, "%s ckr", name);
    if (said(words, rest, &line)) {
        char *end;
        unsigned long code = strtoul(rest, &end, 0);
        long times = *end ? strtol(end, NULL, 0) : -1;
        snprintf(ending, sizeof ending, "used-%d", line);
        if (times < 0 || counted(ending) < times) {
            append(ending, ".");
            return code;
        }
    }
    return CKR_OK;
}

/* The same for a call on a session. */
static CK_RV before_in_session(const char *name)
{
    char rest[LONGEST];
    CK_RV answer = before(name);
    long long now = now_ms();
    if (said("idle", rest, NULL) && heard_ms && now - heard_ms > atoll(rest))
        session_dead = 1;
    heard_ms = now;
    if (said("token gone", NULL, NULL)) {
        session_dead = 1;
        return CKR_DEVICE_REMOVED;
    }
    if (answer != CKR_OK)
        return answer;
    return session_dead ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

#define TRY(expression)                  \
    do {                                 \
        CK_RV answer_ = (expression);    \
        if (answer_ != CKR_OK)           \
            return answer_;              \
    } while (0)

static CK_RV initialize(void *arguments)
{
    TRY(before("C_Initialize"));
    return real->C_Initialize(arguments);
}

static CK_RV finalize(void *reserved)
{
    TRY(before("C_Finalize"));
    session_dead = 0;
    heard_ms = 0;
    return real->C_Finalize(reserved);
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    TRY(before("C_GetSlotList"));
    if (present && said("token gone", NULL, NULL)) {
        session_dead = 1;
        *count = 0;
        return CKR_OK;
    }
    return real->C_GetSlotList(present, slots, count);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    TRY(before("C_GetTokenInfo"));
    if (said("token gone", NULL, NULL))
        return CKR_TOKEN_NOT_PRESENT;
    CK_RV answer = real->C_GetTokenInfo(slot, info);
    if (answer == CKR_OK && said("pin locks", NULL, NULL)) {
        long wrong = counted("wrong");
        info->flags &= ~(CK_FLAGS)(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
        if (wrong >= ALLOWED_WRONG)
            info->flags |= CKF_USER_PIN_LOCKED;
        else if (wrong)
            info->flags |= CKF_USER_PIN_COUNT_LOW;
        if (wrong == ALLOWED_WRONG - 1)
            info->flags |= CKF_USER_PIN_FINAL_TRY;
    }
    return answer;
}

/* Whether no other process has the token's session; it is let go with the process. */
static int only_one(void)
{
    static int held = -1;
    char path[LONGEST];
    if (held >= 0)
        return 1;
    beside(path, "single");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return 0;
    }
    held = fd;
    return 1;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
    TRY(before("C_OpenSession"));
    if (said("token gone", NULL, NULL))
        return CKR_TOKEN_NOT_PRESENT;
    if (session_dead)
        return CKR_DEVICE_ERROR;
    heard_ms = now_ms();
    if (said("token single", NULL, NULL) && !only_one())
        return CKR_SESSION_COUNT;
    return real->C_OpenSession(slot, flags, application, notify, session);
}

static CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    TRY(before_in_session("C_GetSessionInfo"));
    CK_RV answer = real->C_GetSessionInfo(session, info);
    if (answer == CKR_OK && said("token logged-out", NULL, NULL))
        info->state = CKS_RO_PUBLIC_SESSION;
    return answer;
}

static CK_RV login_for_one(CK_UTF8CHAR *pin, CK_ULONG length)
{
    char path[LONGEST], right[LONGEST];
    if (!asked_for_pin || !said("key asks", path, NULL))
        return CKR_OPERATION_NOT_INITIALIZED;
    FILE *file = fopen(path, "re");
    size_t known = file ? fread(right, 1, sizeof right, file) : 0;
    if (file)
        fclose(file);
    if (known != length || memcmp(right, pin, length))
        return CKR_PIN_INCORRECT;
    asked_for_pin = 0;
    return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG length)
{
    char path[LONGEST];
    int locks = said("pin locks", NULL, NULL);
    TRY(before_in_session("C_Login"));
    if (locks && counted("wrong") >= ALLOWED_WRONG)
        return CKR_PIN_LOCKED;
    CK_RV answer = user == CKU_CONTEXT_SPECIFIC ? login_for_one(pin, length)
                                                : real->C_Login(session, user, pin, length);
    if (locks && answer == CKR_PIN_INCORRECT)
        append("wrong", ".");
    if (locks && answer == CKR_OK) {
        beside(path, "wrong");
        unlink(path);
    }
    return answer;
}

static CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
    TRY(before_in_session("C_FindObjectsInit"));
    return real->C_FindObjectsInit(session, template, count);
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *template, CK_ULONG count)
{
    TRY(before_in_session("C_GetAttributeValue"));
    CK_RV answer = real->C_GetAttributeValue(session, object, template, count);
    if (said("key asks", NULL, NULL))
        for (CK_ULONG i = 0; i < count; i++)
            if (template[i].type == CKA_ALWAYS_AUTHENTICATE && template[i].pValue &&
                template[i].ulValueLen == sizeof(CK_BBOOL))
                *(CK_BBOOL *)template[i].pValue = CK_TRUE;
    return answer;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    TRY(before_in_session("C_SignInit"));
    if (said("token logged-out", NULL, NULL))
        return CKR_USER_NOT_LOGGED_IN;
    asked_for_pin = said("key asks", NULL, NULL);
    return real->C_SignInit(session, mechanism, key);
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG length, CK_BYTE *signature,
                  CK_ULONG *signature_length)
{
    TRY(before_in_session("C_Sign"));
    if (asked_for_pin)
        return CKR_USER_NOT_LOGGED_IN;
    CK_RV answer = real->C_Sign(session, data, length, signature, signature_length);
    if (answer == CKR_OK && signature && said("C_Sign flip", NULL, NULL))
        signature[*signature_length - 1] ^= 1;
    return answer;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    const char *path = getenv("MISBEHAVE_MODULE");
    void *library = dlopen(path ? path : "", RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get;
    if (!library)
        return CKR_GENERAL_ERROR;
    *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&real) != CKR_OK)
        return CKR_GENERAL_ERROR;
    ours = *real;
    ours.C_GetFunctionList = C_GetFunctionList;
    ours.C_Initialize = initialize;
    ours.C_Finalize = finalize;
    ours.C_GetSlotList = get_slot_list;
    ours.C_GetTokenInfo = get_token_info;
    ours.C_OpenSession = open_session;
    ours.C_GetSessionInfo = get_session_info;
    ours.C_Login = login;
    ours.C_FindObjectsInit = find_objects_init;
    ours.C_GetAttributeValue = get_attribute_value;
    ours.C_SignInit = sign_init;
    ours.C_Sign = sign;
    *list = &ours;
    return CKR_OK;
}
