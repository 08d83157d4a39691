package main

// ganesha is NFS in user space; its clients have no kernel that mounts either.
var ganesha = service{over: "tcp", low: 2, top: 3, files: map[string]string{"ganesha.conf": `NFS_CORE_PARAM { Protocols = 3, 4; NFS_Port = $PORT; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }
NFSv4 { Graceless = true; RecoveryBackend = fs; Only_Numeric_Owners = true; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT { Export_Id = 1; Path = $WORK/share; Pseudo = /share; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3, 4; FSAL { Name = VFS; } }
`}, prepare: `mkdir -p share /run/ganesha /var/lib/nfs/ganesha
mount -t tmpfs lab /var/lib/nfs/ganesha
for i in $(seq $((RANDOM % 20 + 4))); do head -c $((RANDOM * 9)) /dev/urandom >share/file$i; done
rpcbind -r`, run: []string{"exec ganesha.nfsd -F -f ganesha.conf -L STDERR -p /run/ganesha.pid"}}

// libnfs lists, reads and copies files by a version of NFS, of which the first
// is asked for a path and the other for a name.
func libnfs(version, root string) use {
	url := func(name string) string {
		return `"nfs://$AT` + root + name + `?version=` + version + `&nfsport=$PORT&mountport=20048"`
	}
	return sh("nfs-ls "+url(""),
		"nfs-cat "+url("/file1")+" >/dev/null; nfs-cat "+url("/none"),
		"nfs-cp "+url("/file2")+" /tmp/got$RANDOM; nfs-ls "+url(""),
		"nfs-cp /etc/services "+url("/up$RANDOM")+"; for i in 1 2 3; do nfs-cat "+url("/file$i")+" >/dev/null; sleep 0.$((RANDOM % 9)); done")
}
