package main

// What runs on networks of offices, under labels of its own: files, directories,
// names and addresses of hosts.
var smb = label{name: "smb", programs: []program{
	{"smbclient", "", samba.with(smbclient("-m SMB3"))},
	{"smbclient-2", "", samba.with(smbclient("-m SMB2"))},
	{"smbclient-1", calibration, samba.with(smbclient("-m NT1"))},
	{"smbclient-encrypted", test, samba.with(smbclient("-m SMB3 --client-protection=encrypt"))},
	{"nmap-smb", test, samba.with(sh("nmap -n -Pn -p $PORT -sV --script smb-protocols,smb2-time --host-timeout 8s $AT >/dev/null", "smbclient -N -L //$AT -p $PORT"))},
}}

var samba = service{over: "tcp", low: 2, top: 3, files: map[string]string{"smb.conf": `[global]
smb ports = $PORT
server role = standalone server
server min protocol = NT1
client min protocol = NT1
map to guest = Bad User
guest account = root
state directory = $WORK/smb
cache directory = $WORK/smb
lock directory = $WORK/smb
private dir = $WORK/smb
pid directory = $WORK/smb
ncalrpc dir = $WORK/smb/nc
log file = $WORK/smb.log
disable netbios = yes
load printers = no
[files]
path = $WORK/share
guest ok = yes
read only = no
`}, prepare: "mkdir -p smb share; chmod 777 share; for i in 0 1 2 3; do head -c $((RANDOM * 9)) /dev/urandom >share/file$i; done", run: []string{"exec smbd -F --no-process-group -s $WORK/smb.conf"}}

func smbclient(options string) use {
	return sh("smbclient -s $WORK/smb.conf "+options+" -N -p $PORT //$AT/files -c 'ls; get file1 /tmp/got; put /etc/services up'",
		"smbclient -s $WORK/smb.conf "+options+" -N -p $PORT //$AT/files -c 'dir; mkdir d'$RANDOM'; allinfo file0; get file2 /tmp/got'",
		"smbclient -s $WORK/smb.conf "+options+" -N -p $PORT -L //$AT")
}

var ldap = label{name: "ldap", programs: []program{
	{"ldapsearch", "", slapd.with(sh("ldapsearch -x -H ldap://$AT:$PORT -b dc=example,dc=com >/dev/null",
		"ldapsearch -x -H ldap://$AT:$PORT -D cn=admin,dc=example,dc=com -w secret -b dc=example,dc=com '(uid=user'$((RANDOM % 9))')' >/dev/null",
		"ldapwhoami -x -H ldap://$AT:$PORT -D cn=admin,dc=example,dc=com -w wrong"))},
	{"ldap3", test, slapd.with(sh(`/usr/bin/python3 -c "
import ldap3, random, time
c = ldap3.Connection(ldap3.Server('$AT', $PORT), 'cn=admin,dc=example,dc=com', 'secret', auto_bind=True)
for i in range(random.randint(1, 6)): c.search('dc=example,dc=com', '(uid=user%d)' % random.randint(0, 9), attributes=['*']); time.sleep(random.random())
c.unbind()"`))},
	{"ldapmodify", "", slapd.with(sh(`printf 'dn: uid=user%d,dc=example,dc=com\nchangetype: modify\nreplace: description\ndescription: %d\n' $((RANDOM % 9)) $RANDOM | ldapmodify -x -H ldap://$AT:$PORT -D cn=admin,dc=example,dc=com -w secret`,
		"ldapcompare -x -H ldap://$AT:$PORT uid=user1,dc=example,dc=com sn:Nobody"))},
}}

var slapd = service{over: "tcp", ipv6: false, files: map[string]string{"slapd.conf": `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 10000000
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw secret
directory $WORK/ldap
`}, prepare: `mkdir ldap; { printf 'dn: dc=example,dc=com\nobjectClass: domain\ndc: example\n\n'
for i in 0 1 2 3 4 5 6 7 8; do printf 'dn: uid=user%d,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: user%d\ncn: User %d\nsn: Nobody\nmail: user%d@example.com\n\n' $i $i $i $i; done; } >all.ldif
slapadd -f slapd.conf -l all.ldif`, run: []string{"exec slapd -f slapd.conf -h ldap://0.0.0.0:$PORT -d 0"}}

var kerberos = label{name: "kerberos", programs: []program{
	{"kinit", "", kdc.with(sh("echo secret | kinit user$((RANDOM % 3)); klist", "echo wrong | kinit user1", "echo secret | kinit nobody$RANDOM"))},
	{"kvno", test, kdc.with(sh("echo secret | kinit user1; kvno host/files.example.com; kdestroy"))},
}}

const krb5 = "[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_lookup_kdc = false\nUDPLIMIT\n[realms]\nEXAMPLE.COM = {\n kdc = $AT:$PORT\n}\n"

var kdc = service{over: "udp", filter: "port $PORT", files: map[string]string{"krb5.conf": krb5,
	"kdc.conf": "[kdcdefaults]\nkdc_listen = $PORT\nkdc_tcp_listen = $PORT\n[realms]\nEXAMPLE.COM = {\n database_name = $WORK/principal\n key_stash_file = $WORK/stash\n acl_file = $WORK/acl\n}\n"},
	prepare: `[ $((RANDOM % 2)) = 0 ] && sed -i 's/UDPLIMIT/udp_preference_limit = 1/' krb5.conf || sed -i 's/UDPLIMIT//' krb5.conf
mount --bind krb5.conf /etc/krb5.conf
export KRB5_KDC_PROFILE=$WORK/kdc.conf
kdb5_util create -s -r EXAMPLE.COM -P master
for i in 0 1 2; do kadmin.local -q "addprinc -pw secret user$i"; done
kadmin.local -q "addprinc -randkey host/files.example.com"`, run: []string{"KRB5_KDC_PROFILE=$WORK/kdc.conf exec krb5kdc -n"}}

var snmp = label{name: "snmp", programs: []program{
	{"snmp-v2c", "", snmpd.with(sh("snmpget -v2c -c public $AT:$PORT .1.3.6.1.2.1.1.1.0 .1.3.6.1.2.1.1.3.0 .1.3.6.1.2.1.2.2.1.10.1", "snmpwalk -v2c -c public $AT:$PORT .1.3.6.1.2.1.1", "snmpbulkwalk -v2c -c public -Cr$((RANDOM % 30 + 2)) $AT:$PORT .1.3.6.1.2.1.1"))},
	{"snmp-v1", "", snmpd.with(sh("snmpget -v1 -c public $AT:$PORT .1.3.6.1.2.1.1.5.0", "snmpgetnext -v1 -c public $AT:$PORT .1.3.6.1.2.1.2.2.1.2", "snmpget -v1 -t 1 -r 2 -c wrong $AT:$PORT .1.3.6.1.2.1.1.5.0", "snmpset -v1 -c private $AT:$PORT .1.3.6.1.2.1.1.4.0 s me$RANDOM"))},
	{"snmp-v3", test, snmpd.with(sh("snmpget -v3 -l authPriv -u lab -a SHA -A secretsecret -x AES -X secretsecret $AT:$PORT .1.3.6.1.2.1.1.1.0", "snmpwalk -v3 -l authNoPriv -u lab -a SHA -A secretsecret $AT:$PORT .1.3.6.1.2.1.1"))},
	{"snmptrap", calibration, service{over: "udp", run: []string{"exec socat -u UDP-RECV:$PORT OPEN:/dev/null,wronly"}}.with(sh("snmptrap -v2c -c public $AT:$PORT '' .1.3.6.1.6.3.1.1.5.3 .1.3.6.1.2.1.2.2.1.1 i $((RANDOM % 40))"))},
}}

var snmpd = service{over: "udp", files: map[string]string{"snmpd.conf": "rocommunity public\nrwcommunity private\ncreateUser lab SHA secretsecret AES secretsecret\nrouser lab\nsysLocation room $PORT\n"},
	prepare: "mkdir -p snmp", run: []string{"SNMP_PERSISTENT_DIR=$WORK/snmp exec snmpd -f -Lo -C -c snmpd.conf udp:$PORT"}}

// dhcp, mdns and ssdp keep their ports, which are a part of them.
var dhcp = label{name: "dhcp", reached: true, programs: []program{
	{"udhcpc", "", dnsmasqDHCP.with(sh("busybox udhcpc -i wire -n -q -f -s /bin/true -t 3 -x hostname:pc$RANDOM"))},
	{"udhcpc-dhcpd", test, service{files: map[string]string{"dhcpd.conf": "authoritative;\ndefault-lease-time 600;\nsubnet 0.0.0.0 netmask 0.0.0.0 { range 10.44.0.10 10.44.0.200; option routers 10.44.0.1; option domain-name-servers 10.44.0.1; }\n", "leases": ""},
		run: []string{"exec dhcpd -f -d -cf dhcpd.conf -lf leases -pf /tmp/dhcpd.pid wire"}, filter: "udp port 67 or udp port 68"}.with(sh("sleep 0.5; busybox udhcpc -i wire -n -q -f -s /bin/true -t 3"))},
}}

var dnsmasqDHCP = service{run: []string{"ip address add 10.44.0.1/24 dev wire; exec dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --pid-file= --dhcp-leasefile=/tmp/leases --dhcp-range=10.44.0.10,10.44.0.200,2h --dhcp-authoritative --interface=wire"},
	filter: "udp port 67 or udp port 68"}
